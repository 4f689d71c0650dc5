"""How far a start of the local broker is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["download", "format", "start"]


@dataclass(frozen=True)
class Progress:
    """One step on the way to a running broker.

    Attributes:
        stage: ``download`` and ``format`` occur only the first time.
        done: Jars that are there, with ``download``; else 0.
        total: Jars in all, with ``download``; else 0.
    """

    stage: Stage
    message: str
    done: int = 0
    total: int = 0


OnProgress = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """Show nothing."""
