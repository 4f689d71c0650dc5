"""The worker that serves: the real program, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from agents.cli.options import OPTIONS, PASSWORDS, arguments
from agents.last_words import last_words
from agents.settings import PREFIX, Settings

_LEAVE_S = 30.0


class Worker:
    """A worker that should run until it is told to leave.

    Attributes:
        problem: What became of it, if that is something else.
    """

    def __init__(self, settings: Settings, log: Path) -> None:
        """Start it."""
        self._log = log
        self._process = start_worker(settings, log)
        self.pid = self._process.pid
        self._told = False
        self.problem = ""

    @property
    def ended(self) -> bool:
        """Whether it ended by itself, or otherwise than it was told to."""
        if not self._told and not self.problem and self._process.poll() is not None:
            self.problem = f"the worker ended with {self._process.returncode}: {self.last_words}"
        return bool(self.problem)

    @property
    def last_words(self) -> str:
        """What it said last."""
        return last_words(self._log.read_text("utf-8", errors="replace")) or "it said nothing"

    def leave(self) -> None:
        """Tell it to, and wait until it has left."""
        if self.ended:
            return
        self._told = True
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self.problem = f"the worker did not leave within {_LEAVE_S:.0f} s of being told to"
            return
        if code:
            self.problem = f"the worker ended with {code} when it was told to leave: {self.last_words}"

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()


def start_worker(settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    """Start ``lexstream worker``; it writes what it says to ``log``. Only passwords are in its environment."""
    passwords = {
        f"{PREFIX}{name.upper()}": value.get_secret_value()
        for name in PASSWORDS
        if (value := getattr(settings, name)) is not None
    }
    told = {name: getattr(settings, name) for name in OPTIONS}
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "agents.cli.main", "worker", *arguments({**told, "log_format": "json"})],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the worker in order
            env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | passwords,
        )
