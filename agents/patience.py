"""How long to wait for a Kafka that answers no more: its client waits without end, and says nothing."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from aiokafka import TopicPartition

from agents.settings import Settings
from schemas.errors import Unavailable

LEAST_S: Final = 60.0
"""The client notices only after 40 s that a broker is frozen, and goes on with the next one then."""


def patience_of(settings: Settings) -> float:
    """Return how many seconds to wait for a Kafka that had answered: ``broker_wait_s``, unless that is too few."""
    return max(settings.broker_wait_s, LEAST_S)


class Positioned(Protocol):
    """A consumer."""

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset of what is read next; waits until that is known."""


class Remaining:
    """What is left to read up to ends that are known.

    Args:
        consumer: Reads.
        ends: Where to end, of each partition.
        patience_s: How long nothing may be read.
        clock: Tells seconds.
    """

    def __init__(
        self,
        consumer: Positioned,
        ends: Mapping[TopicPartition, int],
        *,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._ends = ends
        self._patience_s = patience_s
        self._clock = clock
        self._left = -1
        self._moved_s = 0.0

    async def count(self) -> int:
        """Return how many offsets are left.

        Raises:
            Unavailable: If these were as many for so long that Kafka seems to be away.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                left = sum([max(0, end - await self._consumer.position(at)) for at, end in self._ends.items()])
        except TimeoutError as error:
            raise self._away("it is not known where to read") from error
        if left != self._left:
            self._left, self._moved_s = left, self._clock()
        elif left and self._clock() - self._moved_s > self._patience_s:
            raise self._away(f"{left:,} offsets are left to read")
        return left

    def _away(self, what: str) -> Unavailable:
        return Unavailable(f"Kafka sent nothing for {self._patience_s:.0f} s and {what}; check that its brokers run")
