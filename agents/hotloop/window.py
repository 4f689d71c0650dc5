"""Which documents go through the model together. A pure decision: what waits, and the bounds, to how many of each."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.lanes import Priority


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
    """The most that one window takes."""

    n_documents: int
    n_tokens: int

    def quarter(self) -> "Bounds":
        """Return what is kept for the bulk lane when both lanes have something waiting."""
        return Bounds(max(1, self.n_documents // 4), self.n_tokens // 4)

    def less(self, other: "Bounds") -> "Bounds":
        """Return what remains after ``other`` was taken."""
        return Bounds(self.n_documents - other.n_documents, self.n_tokens - other.n_tokens)

    def at_least(self, other: "Bounds") -> "Bounds":
        """Return the greater of both, each in its own right."""
        return Bounds(max(self.n_documents, other.n_documents), max(self.n_tokens, other.n_tokens))


Queue = tuple[Priority, Iterable[Waiting]]


def plan_window(queues: Sequence[Queue], bounds: Bounds) -> list[int]:
    """Return how many events to take from the head of each queue.

    The interactive lane goes first. When both lanes wait, a quarter of the bounds is the bulk lane's, so that it never
    starves. Within a lane the oldest event goes first, whichever partition it is from. A lane that has something
    waiting gives at least one event, however long; so only a single long document can exceed a lane's share.
    """
    counts = [0] * len(queues)
    heads = [(index, priority, iter(waiting)) for index, (priority, waiting) in enumerate(queues)]
    interactive = _Merge([(i, items) for i, priority, items in heads if priority is Priority.INTERACTIVE])
    bulk = _Merge([(i, items) for i, priority, items in heads if priority is Priority.BULK])
    reserved = bounds.quarter() if bulk else Bounds(0, 0)
    used = _fill(interactive, bounds.less(reserved), counts)
    _fill(bulk, bounds.less(used).at_least(reserved), counts)
    return counts


class _Merge:
    """The queues of one lane as one, in the order of arrival."""

    def __init__(self, queues: Iterable[tuple[int, Iterator[Waiting]]]) -> None:
        self._heap: list[tuple[int, int, Waiting, Iterator[Waiting]]] = []
        for index, items in queues:
            if (first := next(items, None)) is not None:
                self._heap.append((first.arrival, index, first, items))
        heapq.heapify(self._heap)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def peek(self) -> tuple[int, Waiting]:
        """Return the oldest event and its queue."""
        _, index, item, _ = self._heap[0]
        return index, item

    def advance(self) -> None:
        """Go on to the next event."""
        _, index, _, items = self._heap[0]
        if (following := next(items, None)) is None:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (following.arrival, index, following, items))


def _fill(lane: _Merge, share: Bounds, counts: list[int]) -> Bounds:
    n_documents = n_tokens = 0
    while lane:
        index, item = lane.peek()
        full = n_documents >= share.n_documents or n_tokens + item.n_tokens > share.n_tokens
        if full and n_documents:
            break
        counts[index] += 1
        n_documents += 1
        n_tokens += item.n_tokens
        lane.advance()
    return Bounds(n_documents, n_tokens)
