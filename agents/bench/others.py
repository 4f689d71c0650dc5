"""How much of this machine others took while something was measured."""

import os

import psutil

from models.engine.cpus import available_cpus

_QUIET = 0.1
"""Kafka, and subjects that wait for their turn, take about half of this."""


def busy_s() -> float | None:
    """Return the seconds that all processors have worked so far; nothing where some of them are not ours to use."""
    if available_cpus() != os.cpu_count():
        return None
    times = psutil.cpu_times()
    # A machine that shares its processors with others sees them as stolen time.
    return float(times.user + times.system + sum(getattr(times, name, 0.0) for name in ("nice", "steal", "softirq")))


def share_of_others(before_s: float | None, after_s: float | None, *, ours_s: float, seconds: float) -> float | None:
    """Return the share of all processors that others took, from 0 to 1.

    Args:
        before_s: ``busy_s()`` at the start.
        after_s: ``busy_s()`` at the end.
        ours_s: The processor time meanwhile of what was measured.
        seconds: How long it took.
    """
    if before_s is None or after_s is None:
        return None
    return min(max(0.0, (after_s - before_s - ours_s) / (seconds * available_cpus())), 1.0)


def is_quiet(share: float | None) -> bool:
    """Tell whether a measurement beside such a share may be believed."""
    return share is None or share <= _QUIET
