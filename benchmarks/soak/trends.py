"""Whether what was sampled stays flat: two figures that single peaks do not move, each with its bound. Pure.

A swap loads a model beside the one that serves, so memory has peaks every few minutes by design. The slope is
Theil and Sen's: the median of the slopes between all pairs of samples. It sees what grows all the time, and hardly
a single step, of any height; that is what the rise from the first quarter to the last is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.soak.sampling import SAMPLE_S, Reading, Sample

STREAM, WORKER, BROKER = "stream", "worker", "broker"
WARM_UP_S = 600.0
WARM_UP_SHARE = 1 / 3
"""Of a run that is so short that the warm-up would be most of it."""
WARM_SWAPS = 15
"""Each swap of an encoder leaves memory with what compiled it, until some fourteen have; then no more. Measured."""
FEWEST_S = 1200.0
"""A slope over less than this, after the warm-up, says nothing of an hour."""
BOUNDS = {"rss_mb": 5.0, "own_mb": 5.0, "descriptors": 2.0, "threads": 2.0}
"""Of the worker, in percent an hour."""
_COUNTS = ("descriptors", "threads")
"""What comes in whole ones: its median may tip over by one."""
LAG_S = 1.0
"""Lag may grow in an hour by what is published in so many seconds."""
_HOUR_S = 3600.0
_QUARTER = 1 / 4
_NAMES = {"rss_mb": "resident memory, MB", "own_mb": "memory of its own, MB", "descriptors": "file descriptors",
          "threads": "threads"}  # fmt: skip


@dataclass(frozen=True)
class Trend:
    """How a figure went after the warm-up.

    Attributes:
        of: Whose.
        name: Which figure.
        median: Its median.
        most: The greatest of it.
        per_hour: By how much it grew in an hour.
        bound: By how much it may; nothing if that is not judged.
        rise: Its median in the last quarter less that in the first.
        rise_bound: As much as the bound allows in the time between; one at least where it comes in whole ones.
    """

    of: str
    name: str
    median: float
    most: float
    per_hour: float
    bound: float | None
    rise: float
    rise_bound: float | None

    @property
    def percent_per_hour(self) -> float:
        """The growth in percent of the median."""
        return 100 * self.per_hour / self.median if self.median else 0.0

    @property
    def problem(self) -> str:
        """Which bound it does not keep, if any. What shrinks keeps both."""
        if self.bound is not None and self.per_hour > self.bound:
            return f"{self.of}: {self.name} grew by {self.per_hour:.1f} an hour, expected at most {self.bound:.1f}"
        if self.rise_bound is not None and self.rise > self.rise_bound:
            return (
                f"{self.of}: {self.name} was {self.rise:.1f} more in the last quarter than in the first, "
                f"expected at most {self.rise_bound:.1f}"
            )
        return ""


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median slope between all pairs; 0 without two."""
    if len(times) < 2:
        return 0.0
    at, value = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    first, second = np.triu_indices(len(at), k=1)
    return float(np.median((value[second] - value[first]) / (at[second] - at[first])))


def rise(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median of the last quarter less that of the first; 0 without values."""
    if not times:
        return 0.0
    quarter_s = (times[-1] - times[0]) * _QUARTER
    first = [value for at, value in zip(times, values, strict=True) if at <= times[0] + quarter_s]
    last = [value for at, value in zip(times, values, strict=True) if at >= times[-1] - quarter_s]
    return median(last) - median(first)


def swap_due_s(number: int, *, every_s: float, warm_s: float) -> float:
    """Return the second in which a swap is due: ``WARM_SWAPS`` while it warms up, then one every ``every_s``."""
    quick_s = warm_s / WARM_SWAPS
    if every_s <= quick_s:
        return number * every_s
    return number * quick_s if number < WARM_SWAPS else warm_s + (number - WARM_SWAPS) * every_s


def warm_up_s(seconds: float) -> float:
    """Return how much of a run's beginning counts as warm-up."""
    return min(WARM_UP_S, seconds * WARM_UP_SHARE)


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples after the warm-up."""
    seconds = samples[-1].at_s if samples else 0.0
    return [each for each in samples if each.at_s >= warm_up_s(seconds)]


def long_enough(samples: Sequence[Sample]) -> bool:
    """Return whether slopes can be judged. The first sample and the last may each be almost one from their end."""
    judged = warm(samples)
    return bool(judged) and judged[-1].at_s - judged[0].at_s >= FEWEST_S - 2 * SAMPLE_S


def drifts(samples: Sequence[Sample], found: Sequence[Trend]) -> list[str]:
    """Return what does not stay flat. A run that is too short has no such problems: it says nothing."""
    if not long_enough(samples):
        return []
    judged = warm(samples)
    n_missing = sum(each.worker is None for each in judged)
    unread = [f"{WORKER}: it could not be read for {n_missing} of {len(judged)} samples"] if n_missing else []
    return unread + [each.problem for each in found if each.problem]


def trends(samples: Sequence[Sample], *, rate: float) -> list[Trend]:
    """Return how everything went after the warm-up."""
    judged = warm(samples)
    times = [each.at_s for each in judged]
    lag = [float(each.lag) for each in judged]
    found = [_trend(STREAM, "lag, events", times, lag, bound=rate * LAG_S)]
    for field, name in _NAMES.items():
        found += _of_process(WORKER, field, name, [(each.at_s, each.worker) for each in judged])
    for field, name in _NAMES.items():
        found += _of_process(BROKER, field, name, [(each.at_s, each.broker) for each in judged])
    return found


def _of_process(of: str, field: str, name: str, readings: Sequence[tuple[float, Reading | None]]) -> list[Trend]:
    points = [(at_s, float(getattr(reading, field))) for at_s, reading in readings if reading is not None]
    if not points:
        return []
    values = [value for _, value in points]
    bound = median(values) * BOUNDS[field] / 100 if of == WORKER else None
    least = 1.0 if field in _COUNTS else 0.0
    return [_trend(of, name, [at_s for at_s, _ in points], values, bound=bound, least=least)]


def _trend(
    of: str,
    name: str,
    times: Sequence[float],
    values: Sequence[float],
    *,
    bound: float | None,
    least: float = 0.0,
) -> Trend:
    middle, most = (median(values), max(values)) if values else (0.0, 0.0)
    between_s = (times[-1] - times[0]) * (1 - _QUARTER) if times else 0.0
    rise_bound = None if bound is None else max(least, bound * between_s / _HOUR_S)
    return Trend(of, name, middle, most, slope(times, values) * _HOUR_S, bound, rise(times, values), rise_bound)
