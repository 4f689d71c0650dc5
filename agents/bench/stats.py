"""Ratios, percentiles and the like. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from statistics import median

Spans = frozenset[tuple[str, int, int]]
"""Category, offset and length of each entity of a document."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return the ratio of each round: what disturbs a whole round leaves its ratio alone."""
    return [value / other for value, other in zip(values, others, strict=True) if other > 0]


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios of each round, 0 without any."""
    found = ratios(values, others)
    return median(found) if found else 0.0


def n_different(found: Mapping[str, Spans], expected: Mapping[str, Spans]) -> int:
    """Return how many of the documents that were found have other spans than expected."""
    return sum(spans != expected[document] for document, spans in found.items())


def f1(found: Mapping[str, Spans], expected: Mapping[str, Spans]) -> float:
    """Return how alike the spans of the found documents are to the expected ones; 1 where there are none."""
    same = sum(len(spans & expected[document]) for document, spans in found.items())
    total = sum(len(spans) + len(expected[document]) for document, spans in found.items())
    return 2 * same / total if total else 1.0


def miscounted(sent: Iterable[str], received: Iterable[str]) -> tuple[int, int]:
    """Return how many documents were lost, and how many came that nobody waited for or more often than once."""
    counts = Counter(received)
    expected = set(sent)
    lost = sum(document not in counts for document in expected)
    extra = sum(count if document not in expected else count - 1 for document, count in counts.items())
    return lost, extra


def shares(parts: Mapping[str, float]) -> dict[str, float]:
    """Return each part of the whole, the largest first."""
    whole = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return {name: value / whole for name, value in ordered} if whole > 0 else {}


def round_order(names: Sequence[str], round_number: int) -> list[str]:
    """Return who runs when in a round: everybody begins one in turn, so that no place in it favours anybody."""
    start = round_number % len(names)
    return [*names[start:], *names[:start]]


def how_many(per_s: float, seconds: float, *, block: int, most: int = 20_000) -> int:
    """Return how many documents take about ``seconds``: whole blocks, at least one."""
    return min(max(block, round(per_s * seconds / block) * block), most)
