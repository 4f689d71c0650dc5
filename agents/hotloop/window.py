"""Which documents go through the model together. A pure decision: what waits, and the bounds, to how many of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Waiting(Protocol):
    """What the decision needs to know of an event that waits."""

    @property
    def n_tokens(self) -> int:
        """Estimated tokens."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one window takes.

    Attributes:
        n_documents: Events.
        n_tokens: Estimated tokens of all.
        enough: The part of it with which the models are hardly slower than with a whole one. So much must wait before a
            window is taken while another is in the model, and with so much no further partition is begun: each is a
            transaction of its own. Measured on short documents near the most that goes through.
    """

    n_documents: int
    n_tokens: int
    enough: float = 1 / 8

    def is_enough(self, n_documents: int, n_tokens: int) -> bool:
        """Whether little is gained by more."""
        return n_documents >= self.enough * self.n_documents or n_tokens >= self.enough * self.n_tokens

    @property
    def long(self) -> int:
        """Tokens above which a document is not taken into a window, but read by itself.

        Its neighbours would have to wait for it; a quarter of a window they hardly notice.
        """
        return self.n_tokens // 4


def plan_window(queues: Sequence[Iterable[Waiting]], bounds: Bounds) -> list[int]:
    """Return how many events to take from the head of each queue.

    One queue after the other, until it is enough: give the one first that has waited longest. What waits gives at least
    one event, however long.
    """
    counts = [0] * len(queues)
    n_documents = n_tokens = 0
    for index, items in enumerate(queues):
        if bounds.is_enough(n_documents, n_tokens):
            break
        for item in items:
            full = n_documents >= bounds.n_documents or n_tokens + item.n_tokens > bounds.n_tokens
            if full and n_documents:
                return counts
            counts[index] += 1
            n_documents += 1
            n_tokens += item.n_tokens
    return counts
