"""The partitions that are ours: what waits in each, how far each is committed, and which epoch it is in."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from agents.hotloop.decode import Item
from agents.hotloop.transactions import Turns
from agents.hotloop.window import Bounds, plan_window
from agents.lanes import Lane
from agents.serving import Key


@dataclass(slots=True, eq=False)
class Partition:
    """A partition while it is ours.

    Attributes:
        epoch: Raised whenever reading starts again somewhere else. What belongs to an older one is dropped.
        committed: The offset that the next window starts at or after.
        next_read: The offset behind the last event that was queued.
        commits: The transactions in flight or waiting for their turn.
        turn: Held by the window that commits; windows commit in the order in which they took it.
        served: Which digest each deployment used in the last transaction.
    """

    tp: TopicPartition
    lane: Lane
    producers: Turns
    epoch: int
    committed: int
    next_read: int
    queue: deque[Item] = field(default_factory=deque)
    n_bytes: int = 0
    in_flight: int = 0
    paused: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    served: dict[Key, str] = field(default_factory=dict)
    commits: set[asyncio.Task[None]] = field(default_factory=set)

    def put(self, items: Iterable[Item]) -> None:
        """Let items wait for their window."""
        for item in items:
            self.queue.append(item)
            self.n_bytes += item.n_bytes
            self.next_read = item.record.offset + 1

    def take(self, count: int) -> list[Item]:
        """Return the first items, which wait no longer."""
        items = [self.queue.popleft() for _ in range(count)]
        self.n_bytes -= sum(item.n_bytes for item in items)
        self.in_flight += count
        return items

    def drop(self) -> int:
        """Forget what waits, and return how many that was."""
        count = len(self.queue)
        self.queue.clear()
        self.n_bytes = 0
        return count


@dataclass(slots=True, frozen=True)
class Share:
    """What a window took from one partition, and the epoch in which it did."""

    partition: Partition
    epoch: int
    items: list[Item]

    @property
    def stale(self) -> bool:
        """Whether the partition has moved on since."""
        return self.partition.epoch != self.epoch


class Partitions:
    """All that are ours now. Belongs to the hot loop's event loop."""

    def __init__(self) -> None:
        self._all: dict[TopicPartition, Partition] = {}
        self._epochs = 0

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, tp: TopicPartition) -> Partition | None:
        """Return a partition that is ours."""
        return self._all.get(tp)

    def next_epoch(self) -> int:
        """Return an epoch that no partition ever had."""
        self._epochs += 1
        return self._epochs

    def epochs(self) -> dict[TopicPartition, int]:
        """Return the present epochs."""
        return {tp: partition.epoch for tp, partition in self._all.items()}

    def add(self, partition: Partition) -> None:
        """Take a partition that has become ours."""
        self._all[partition.tp] = partition

    def remove(self, tp: TopicPartition) -> Partition | None:
        """Give a partition away: what it has in flight becomes stale."""
        partition = self._all.pop(tp, None)
        if partition:
            partition.epoch = self.next_epoch()
            partition.drop()
        return partition

    def take_window(self, bounds: Bounds) -> list[Share]:
        """Return the next window; empty when nothing waits."""
        waiting = [partition for partition in self._all.values() if partition.queue]
        counts = plan_window([(partition.lane.priority, partition.queue) for partition in waiting], bounds)
        return [
            Share(partition, partition.epoch, partition.take(count))
            for partition, count in zip(waiting, counts, strict=True)
            if count
        ]

    @property
    def n_bytes(self) -> int:
        """Memory of what waits."""
        return sum(partition.n_bytes for partition in self._all.values())

    @property
    def n_waiting(self) -> int:
        """Events that wait or are in flight."""
        return sum(len(partition.queue) + partition.in_flight for partition in self._all.values())
