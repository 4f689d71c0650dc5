"""The loop's producers without transactions: outputs are acknowledged, then the offset is committed."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.hotloop.transactions import BUILDER_BYTES, Turns
from agents.kafka import client_options
from agents.settings import Settings


class _NeverFatal:
    """What is asked of a producer after an error: whether a transaction's state is beyond repair."""

    def is_fatal_error(self) -> bool:
        """Without transactions, nothing is."""
        return False


class PlainProducer:
    """Does what the loop wants of a producer, in a transaction's order but without one.

    The offset goes to a group of its own: a commit to the loop's group needs the membership that only its consumer has.
    For the broker it is the same request.
    """

    def __init__(self, settings: Settings, tp: TopicPartition) -> None:
        self._producer = AIOKafkaProducer(
            **client_options(settings), acks="all", linger_ms=0, max_batch_size=BUILDER_BYTES
        )
        self._offsets = AIOKafkaConsumer(
            **client_options(settings), group_id=f"{settings.group}-offsets", enable_auto_commit=False
        )
        self._offsets.assign([tp])
        self._offsets.pause(tp)
        self._consumed: dict[TopicPartition, int] = {}
        self._txn_manager = _NeverFatal()

    async def start(self) -> None:
        """Connect."""
        await asyncio.gather(self._producer.start(), self._offsets.start())

    async def stop(self) -> None:
        """Disconnect."""
        await asyncio.gather(self._producer.stop(), self._offsets.stop())

    async def begin_transaction(self) -> None:
        """There is none."""

    async def commit_transaction(self) -> None:
        """Commit the offset: all outputs are acknowledged by now."""
        await self._offsets.commit(self._consumed)

    async def abort_transaction(self) -> None:
        """What was sent stays: at least once."""

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, int], group_id: str) -> None:
        """Note the offset."""
        self._consumed = dict(offsets)

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the partitions of a topic."""
        found: set[int] = await self._producer.partitions_for(topic)
        return found

    def create_batch(self) -> Any:
        """Return an empty batch."""
        return self._producer.create_batch()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Hand over a batch."""
        future: asyncio.Future[Any] = await self._producer.send_batch(batch, topic, partition=partition)
        return future


def make_producers(settings: Settings, tp: TopicPartition) -> Turns:
    """Return the two producers of an input partition, not yet started."""
    return Turns([PlainProducer(settings, tp) for _ in (0, 1)])
