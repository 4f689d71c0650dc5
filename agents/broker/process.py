"""The broker's process: started apart from ours, found again later, never mistaken for another."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_CLOCK_SHIFT_S = 3600.0


@dataclass(frozen=True)
class Record:
    """What is written down about a broker that was started.

    ``started_at`` is the process's own start in seconds since 1970, as the system tells it.
    """

    pid: int
    started_at: float
    address: str
    version: str


def launch(command: Sequence[str], *, console: Path) -> psutil.Process:
    """Start ``command`` (its first word an absolute path) in a session of its own.

    So neither Ctrl-C nor our end reaches it; for the same reason it is no ``Popen``, which warns of a process that
    outlives it.
    """
    to_console = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, console, to_console, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return psutil.Process(os.posix_spawn(command[0], list(command), os.environ, file_actions=streams, setsid=True))


def remember(record: Record, *, path: Path) -> None:
    """Write ``record``; a reader sees all of it or nothing."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
    draft.replace(path)


def recall(path: Path) -> Record | None:
    """Read what ``remember`` wrote; ``None`` if nothing legible is there."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def find(record: Record, *, argument: str) -> psutil.Process | None:
    """Return the recorded process if it still runs.

    A pid is given to another process once its own has died. So both have to fit: the start, within what a corrected
    clock may shift it, and ``argument`` on its command line.
    """
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started_at) < _CLOCK_SHIFT_S and argument in process.cmdline()
        return process if same and is_alive(process) else None
    except psutil.Error:
        return None


def is_alive(process: psutil.Process) -> bool:
    """Return whether it runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end(process: psutil.Process, *, patience_s: float) -> None:
    """Ask the process to end, kill it if it has not after ``patience_s``, and return when it is gone."""
    try:
        process.terminate()
        process.wait(patience_s)
    except psutil.TimeoutExpired:
        kill(process)
    except psutil.NoSuchProcess:
        return


def kill(process: psutil.Process) -> None:
    """Kill the process and return when it is gone."""
    try:
        process.kill()
        process.wait()
    except psutil.NoSuchProcess:
        return
