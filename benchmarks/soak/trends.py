"""Whether what was sampled stays flat: slopes that single peaks do not move, each with the bound it has to keep. Pure.

A swap loads a model beside the one that serves, so memory has peaks every few minutes by design. The slope is
Theil and Sen's: the median of the slopes between all pairs of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.soak.sampling import Reading, Sample

WARM_UP_S = 600.0
WARM_UP_SHARE = 1 / 3
WARM_SWAPS = 15
"""Each swap of an encoder leaves memory with what compiled it, until some fourteen have; then no more. Measured."""
"""Of a run that is so short that the warm-up would be most of it."""
FEWEST_S = 1200.0
"""A slope over less than this, after the warm-up, says nothing of an hour."""
BOUNDS = {"rss_mb": 5.0, "own_mb": 5.0, "descriptors": 2.0, "threads": 2.0}
"""Of the worker, in percent an hour."""
LAG_S = 1.0
"""Lag may grow in an hour by what is published in so many seconds."""
_HOUR_S = 3600.0
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
    """

    of: str
    name: str
    median: float
    most: float
    per_hour: float
    bound: float | None

    @property
    def percent_per_hour(self) -> float:
        """The growth in percent of the median."""
        return 100 * self.per_hour / self.median if self.median else 0.0

    @property
    def flat(self) -> bool:
        """Whether it keeps its bound. What shrinks does."""
        return self.bound is None or self.per_hour <= self.bound


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median slope between all pairs; 0 without two."""
    if len(times) < 2:
        return 0.0
    at, value = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    first, second = np.triu_indices(len(at), k=1)
    return float(np.median((value[second] - value[first]) / (at[second] - at[first])))


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
    """Return whether slopes can be judged."""
    judged = warm(samples)
    return bool(judged) and judged[-1].at_s - judged[0].at_s >= FEWEST_S


def trends(samples: Sequence[Sample], *, rate: float) -> list[Trend]:
    """Return how everything went after the warm-up."""
    judged = warm(samples)
    times = [each.at_s for each in judged]
    lag = [float(each.lag) for each in judged]
    found = [_trend("stream", "lag, events", times, lag, bound=rate * LAG_S)]
    for field, name in _NAMES.items():
        found += _of_process("worker", field, name, [(each.at_s, each.worker) for each in judged])
    for field, name in _NAMES.items():
        found += _of_process("broker", field, name, [(each.at_s, each.broker) for each in judged])
    return found


def _of_process(of: str, field: str, name: str, readings: Sequence[tuple[float, Reading | None]]) -> list[Trend]:
    points = [(at_s, float(getattr(reading, field))) for at_s, reading in readings if reading is not None]
    if not points:
        return []
    values = [value for _, value in points]
    bound = median(values) * BOUNDS[field] / 100 if of == "worker" else None
    return [_trend(of, name, [at_s for at_s, _ in points], values, bound=bound)]


def _trend(of: str, name: str, times: Sequence[float], values: Sequence[float], *, bound: float | None) -> Trend:
    middle, most = (median(values), max(values)) if values else (0.0, 0.0)
    return Trend(of, name, middle, most, slope(times, values) * _HOUR_S, bound)
