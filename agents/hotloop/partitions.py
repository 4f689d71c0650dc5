"""The partitions that are ours: what waits in each, how far each is committed, and which epoch it is in."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from aiokafka import TopicPartition

from agents.hotloop.decode import Item
from agents.hotloop.transactions import Turns
from agents.hotloop.window import Bounds, plan_window
from agents.lanes import Lane, Priority
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
        held: Whether its first event waits for a deployment; then nothing is taken.
        reading: Whether a long document of it is in the model; then nothing is taken.
    """

    tp: TopicPartition
    lane: Lane
    producers: Turns
    epoch: int
    committed: int
    next_read: int
    queue: deque[Item] = field(default_factory=deque)
    n_bytes: int = 0
    n_tokens: int = 0
    in_flight: int = 0
    paused: bool = False
    held: bool = False
    reading: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    served: dict[Key, str] = field(default_factory=dict)
    commits: set[asyncio.Task[None]] = field(default_factory=set)

    def put(self, items: Iterable[Item]) -> None:
        """Let items wait for their window."""
        for item in items:
            self.queue.append(item)
            self.n_bytes += item.n_bytes
            self.n_tokens += item.n_tokens
            self.next_read = item.record.offset + 1

    def take(self, count: int) -> list[Item]:
        """Return the first items, which wait no longer."""
        items = [self.queue.popleft() for _ in range(count)]
        self.n_bytes -= sum(item.n_bytes for item in items)
        self.n_tokens -= sum(item.n_tokens for item in items)
        self.in_flight += count
        return items

    def drop(self) -> int:
        """Forget what waits, and return how many that was."""
        count = len(self.queue)
        self.queue.clear()
        self.n_bytes = self.n_tokens = 0
        return count

    @property
    def head(self) -> Item | None:
        """The event whose turn is next, if there is one and it may be taken."""
        return self.queue[0] if self.queue and not (self.held or self.reading) else None


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


Ready = Callable[[Item], bool]


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

    def take_window(self, priority: Priority, bounds: Bounds, *, ready: Ready) -> list[Share]:
        """Return the next window of a lane; empty when nothing waits that may be taken.

        Args:
            priority: The lane.
            bounds: Of the window; documents that are too long for it are left.
            ready: Whether an event can be answered now.
        """
        lane = sorted(self._open(priority, bounds), key=lambda each: each.queue[0].arrival)
        queues = [takewhile(lambda item: item.n_tokens <= bounds.long and ready(item), each.queue) for each in lane]
        counts = plan_window(queues, bounds)
        return [_share(partition, count) for partition, count in zip(lane, counts, strict=True) if count]

    def take_long(self, priority: Priority, bounds: Bounds, *, ready: Ready) -> list[Share]:
        """Return a lane's oldest document that is too long for a window, as a window of its own; else nothing.

        Nothing else of its partition is taken or in flight until it is answered, so that order is kept.
        """
        found = [
            (head.arrival, partition)
            for partition in self._all.values()
            if partition.lane.priority is priority and not partition.in_flight
            if (head := partition.head) and head.n_tokens > bounds.long and ready(head)
        ]
        if not found:
            return []
        _, partition = min(found, key=lambda each: each[0])
        partition.reading = True
        return [_share(partition, 1)]

    def worth_taking_ahead(self, priority: Priority, bounds: Bounds) -> bool:
        """Whether so much waits in a lane that little is gained by waiting for more."""
        lane = self._open(priority, bounds)
        n_documents, n_tokens = sum(len(each.queue) for each in lane), sum(each.n_tokens for each in lane)
        return bounds.is_enough(n_documents, n_tokens)

    def unready(self, ready: Ready) -> list[Partition]:
        """Return the partitions whose next event cannot be answered now."""
        return [each for each in self._all.values() if (head := each.head) and not ready(head)]

    def _open(self, priority: Priority, bounds: Bounds) -> list[Partition]:
        """Return the partitions of a lane whose next event may be taken into a window."""
        lane = [each for each in self._all.values() if each.lane.priority is priority]
        return [each for each in lane if (head := each.head) and head.n_tokens <= bounds.long]

    @property
    def last_arrival(self) -> int:
        """The arrival of the youngest event that waits."""
        return max((partition.queue[-1].arrival for partition in self._all.values() if partition.queue), default=0)

    @property
    def n_bytes(self) -> int:
        """Memory of what waits."""
        return sum(partition.n_bytes for partition in self._all.values())

    @property
    def n_waiting(self) -> int:
        """Events that wait or are in flight."""
        return sum(len(partition.queue) + partition.in_flight for partition in self._all.values())


def _share(partition: Partition, count: int) -> Share:
    return Share(partition, partition.epoch, partition.take(count))
