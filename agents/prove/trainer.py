"""A trainer to be murdered: the trainer as it is, with a training of some seconds that learns nothing.

``python -m agents.prove.trainer`` with what it needs as JSON in the first line of stdin, whose end ends it in order.
"""

import os
import signal
import sys
import threading
from typing import Any, Final

import orjson

from agents.leaving import end
from agents.settings import Settings
from agents.trainer import run_trainer

TRAINING: Final = (sys.executable, "-m", "agents.prove.training")


def main() -> None:
    """Run as a process."""
    given: dict[str, Any] = orjson.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    end(run_trainer(Settings(**given["settings"]), command=TRAINING))


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
