"""A trainer process as ``lexstream trainer`` starts it, but its trainings are fake."""

import sys
from pathlib import Path

from agents.settings import load_settings
from agents.trainer import run_trainer

FAKE = Path(__file__).with_name("fake_training.py")

if __name__ == "__main__":
    sys.exit(run_trainer(load_settings(), command=(sys.executable, str(FAKE))))
