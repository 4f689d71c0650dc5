"""The worker that serves: the real program, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from agents.cli.options import OPTIONS, PASSWORDS, arguments
from agents.settings import PREFIX, Settings

_PASSWORDS = frozenset(f"{PREFIX}{name.upper()}" for name in PASSWORDS)


def start_worker(settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    """Start ``lexstream worker``; it writes what it says to ``log``, and takes only passwords from the environment."""
    told = {name: getattr(settings, name) for name in OPTIONS}
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "agents.cli.main", "worker", *arguments({**told, "log_format": "json"})],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the worker in order
            env={
                name: value for name, value in os.environ.items() if name in _PASSWORDS or not name.startswith(PREFIX)
            },
        )
