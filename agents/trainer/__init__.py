"""The trainer: takes jobs, trains in a child process, and writes what came of it."""

from agents.trainer.process import run_trainer

__all__ = ["run_trainer"]
