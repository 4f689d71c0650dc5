"""Which model read which event, by the ``switched`` records of the log alone. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.prove.ledger import Run


@dataclass(frozen=True, slots=True, order=True)
class Switch:
    """From this offset on a partition used this model."""

    offset: int
    digest: str


def n_wrong(runs: Iterable[Run], switches: Sequence[Switch]) -> int:
    """Return how many events were answered by another model than the switch before them names.

    Args:
        runs: Who answered, in the order of offsets.
        switches: Those of the same partition; of several at one offset the last written counts.
    """
    by_offset = {switch.offset: switch.digest for switch in switches}
    offsets = sorted(by_offset)
    return sum(_wrong_in(run, offsets, by_offset) for run in runs)


def _wrong_in(run: Run, offsets: Sequence[int], by_offset: dict[int, str]) -> int:
    """Go through the stretches of a run between switches."""
    wrong, start = 0, run.first
    at = bisect_right(offsets, start)
    while start <= run.last:
        end = min(run.last, offsets[at] - 1) if at < len(offsets) else run.last
        named = by_offset[offsets[at - 1]] if at else None
        wrong += end - start + 1 if named != run.digest else 0
        start, at = end + 1, at + 1
    return min(wrong, run.n_events)
