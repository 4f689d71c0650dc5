"""The worker that serves: the real program, in a process of its own."""

import subprocess
import sys
from pathlib import Path

from agents.cli.options import arguments
from agents.settings import Settings

_TOLD = ("brokers", "security_protocol", "namespace", "group", "store", "default_tasks", "metrics_port")


def start_worker(settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    """Start ``lexstream worker``; it writes what it says to ``log``."""
    told = {name: getattr(settings, name) for name in _TOLD}
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "agents.cli.main", "worker", *arguments({**told, "log_format": "json"})],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the worker in order
        )
