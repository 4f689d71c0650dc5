"""What a process takes, read every few seconds."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from schemas.errors import InvalidInput

SAMPLE_S = 5.0
_MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Reading:
    """What a process had at one moment.

    Attributes:
        rss_mb: Resident memory.
        own_mb: The part of it that no file backs. What is *private* would change whenever another process maps the same
            libraries, or no longer does.
        descriptors: Open files and sockets.
        threads: How many.
        cpu_s: Processor seconds since its start.
    """

    rss_mb: float
    own_mb: float
    descriptors: int
    threads: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """How the run stood at one moment.

    Attributes:
        at_s: Seconds since the first output.
        lag: Published less answered.
        worker: What the worker had.
        broker: What the broker had, if it is ours.
    """

    at_s: float
    lag: int
    worker: Reading | None
    broker: Reading | None


def require_linux() -> None:
    """See that the system says which part of a process's memory no file backs.

    Raises:
        InvalidInput: It does not.
    """
    if not psutil.LINUX:
        raise InvalidInput(
            [f"the soak runs on Linux only, which alone tells what memory no file backs; got {sys.platform}"]
        )


def sample_of(stored: Mapping[str, Any]) -> Sample:
    """Return a sample as a report keeps it."""
    worker, broker = (Reading(**stored[of]) if stored[of] else None for of in ("worker", "broker"))
    return Sample(stored["at_s"], stored["lag"], worker, broker)


def read(process: psutil.Process | None) -> Reading | None:
    """Return what a process has; nothing if it has ended."""
    if process is None:
        return None
    try:
        with process.oneshot():
            memory, cpu = process.memory_info(), process.cpu_times()
            return Reading(
                round(memory.rss / _MEGABYTE, 2),
                round((memory.rss - memory.shared) / _MEGABYTE, 2),
                process.num_fds(),
                process.num_threads(),
                round(cpu.user + cpu.system, 2),
            )
    except psutil.Error:
        return None
