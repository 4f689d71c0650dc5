"""Models that were deployed, held against what the log says of their use. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

_TIME_S = 20.0
"""A model that is replaced, or the run's last, sooner than this after it was served need not have been used."""


@dataclass(frozen=True, slots=True)
class Switched:
    """One partition went on with another model.

    Attributes:
        at_s: When that was read, in seconds since the first output.
        digest: Of the model.
        place: The topic and the partition.
    """

    at_s: float
    digest: str
    place: tuple[str, int]


@dataclass(frozen=True)
class Swap:
    """A model that was deployed.

    Attributes:
        at_s: When the command was sent, in seconds since the first output.
        label: Of the model.
        seconds: Until a worker said that it serves it; nothing if none did.
        problem: Why not, or why it was not served in spite of that.
        n_partitions: How many partitions went on with it.
    """

    at_s: float
    label: str
    seconds: float | None
    problem: str = ""
    n_partitions: int = 0


def held_against(
    swaps: Sequence[Swap], switched: Sequence[Switched], *, digests: Mapping[str, str], until_s: float
) -> list[Swap]:
    """Return the swaps with the partitions that followed, and a problem where none did that had the time to.

    Args:
        swaps: One after another.
        switched: What the log says.
        digests: Of the models, by label.
        until_s: When the last output was seen.
    """
    # Who deploys the same model again does so two others later: what is seen until then belongs to this swap.
    again = {before: after.at_s for label in digests for before, after in pairwise(_of(label, swaps))}
    ends = [*[swap.at_s for swap in swaps[1:]], until_s]
    return [
        _held(swap, _followed(swap, switched, digests[swap.label], again.get(swap, float("inf"))), end_s)
        for swap, end_s in zip(swaps, ends, strict=False)
    ]


def _of(label: str, swaps: Sequence[Swap]) -> list[Swap]:
    return [swap for swap in swaps if swap.label == label]


def _followed(swap: Swap, switched: Sequence[Switched], digest: str, again_s: float) -> int:
    return len({each.place for each in switched if each.digest == digest and swap.at_s <= each.at_s < again_s})


def _held(swap: Swap, n_partitions: int, end_s: float) -> Swap:
    had_s = 0.0 if swap.seconds is None else end_s - swap.at_s - swap.seconds
    unused = not n_partitions and had_s >= _TIME_S
    problem = f"no partition went on with it within {had_s:.0f} s" if unused else swap.problem
    return replace(swap, n_partitions=n_partitions, problem=problem)
