"""Which documents go through the model together. A pure decision: what waits, and the bounds, to how many of each."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


class Waiting(Protocol):
    """What the decision needs to know of an event that waits."""

    @property
    def n_tokens(self) -> int:
        """Estimated tokens."""

    @property
    def arrival(self) -> int:
        """Place in the order in which events arrived, over all partitions."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one window takes.

    Attributes:
        n_documents: Events.
        n_tokens: Estimated tokens of all.
        ahead: The part of it that must wait before a window is taken while another is in the model. The models are
            hardly slower with an eighth than with a whole one, and never stand still until tokens are made. Measured on
            short documents at two thirds of the most that goes through: the 99th percentile of latency is a third.
    """

    n_documents: int
    n_tokens: int
    ahead: float = 1 / 8

    @property
    def long(self) -> int:
        """Tokens above which a document is not taken into a window, but read by itself.

        Its neighbours would have to wait for it; a quarter of a window they hardly notice.
        """
        return self.n_tokens // 4


def plan_window(queues: Sequence[Iterable[Waiting]], bounds: Bounds) -> list[int]:
    """Return how many events to take from the head of each queue.

    The oldest event goes first, whichever queue it is in. What waits gives at least one event, however long.
    """
    counts = [0] * len(queues)
    n_tokens = 0
    for n_documents, (index, item) in enumerate(_by_arrival(queues)):
        full = n_documents >= bounds.n_documents or n_tokens + item.n_tokens > bounds.n_tokens
        if full and n_documents:
            break
        counts[index] += 1
        n_tokens += item.n_tokens
    return counts


def _by_arrival(queues: Sequence[Iterable[Waiting]]) -> Iterator[tuple[int, Waiting]]:
    """Merge the queues, each of which is in the order of arrival."""
    heads: list[tuple[int, int, Waiting, Iterator[Waiting]]] = []
    for index, items in enumerate(map(iter, queues)):
        if (first := next(items, None)) is not None:
            heads.append((first.arrival, index, first, items))
    heapq.heapify(heads)
    while heads:
        _, index, item, items = heads[0]
        yield index, item
        if (following := next(items, None)) is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following.arrival, index, following, items))
