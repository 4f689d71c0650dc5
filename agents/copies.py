"""How many brokers keep the topics: where there are enough brokers, one of them must not be the only one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WANTED: Final = 3
"""As many brokers keep a partition as there are, but no more than this: any one may die, and a write waits for two."""
_IN_SYNC: Final = 2


@dataclass(frozen=True, slots=True)
class Copies:
    """How a topic is kept.

    Attributes:
        kept: By how many brokers, where it is kept by the fewest.
        in_sync: How many of them have to have a write before it counts; ``None`` if nobody may tell us.
    """

    kept: int
    in_sync: int | None = None


def dangers(found: Mapping[str, Copies], *, n_brokers: int) -> list[str]:
    """Return a line for each topic that would lose something with one of ``n_brokers``, and what to do.

    With fewer than three brokers nothing is said: two copies of which both must be written stop when one is away.
    """
    if n_brokers < WANTED:
        return []
    return [line for name, copies in found.items() if (line := _danger(name, copies, n_brokers))]


def _danger(name: str, copies: Copies, n_brokers: int) -> str | None:
    if copies.kept == 1:
        return (
            f"topic {name} is kept by 1 of {n_brokers} brokers, expected {WANTED}: it is away while that one is, and "
            "lost with its disk; give it more with `kafka-reassign-partitions`, as docs/operations.md shows"
        )
    if copies.in_sync is not None and copies.in_sync < _IN_SYNC:
        first = "" if copies.kept >= WANTED else f"give it {WANTED} copies instead of {copies.kept}, then "
        return (
            f"topic {name} has min.insync.replicas {copies.in_sync}, expected {_IN_SYNC}: what one broker alone has is "
            f"lost with it; {first}run "
            f"`kafka-configs --alter --topic {name} --add-config min.insync.replicas={_IN_SYNC}`"
        )
    return None
