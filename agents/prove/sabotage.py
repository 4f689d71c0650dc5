"""Workers that are wrong on purpose, to see that the proof finds it. ``python -m agents.prove.sabotage NAME``.

No setting reaches this: it is another program, which differs from the worker in what commits a partition's windows.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition

from agents.hotloop.transactions import BUILDER_BYTES, Turns
from agents.inference import Urgency
from agents.kafka import client_options
from agents.prove.echo import EchoEngine
from agents.prove.worker import Producers, main
from agents.prove.workers import Sabotage
from agents.settings import Settings

_THINKS_S: Final = 0.4
"""So long that there is always a window in the model when a worker is frozen: it commits that when it wakes."""
_PAUSE_S: Final = 1.0
"""Between the offset and what belongs to it: so long that a murder finds some partition in the gap."""


class CommitsBeforeItProduces:
    """Commits the offset, and only then, in another transaction, what the events gave."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._held: list[tuple[Any, str, int]] = []
        self._txn_manager = producer._txn_manager

    async def start(self) -> None:
        """Connect, and take the transactional id."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def begin_transaction(self) -> None:
        """Begin the transaction of the offset."""
        self._held.clear()
        await self._producer.begin_transaction()

    async def abort_transaction(self) -> None:
        """Abort whichever is open."""
        await self._producer.abort_transaction()

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, int], group_id: str) -> None:
        """Consume."""
        await self._producer.send_offsets_to_transaction(offsets, group_id)

    async def commit_transaction(self) -> None:
        """Commit the offset, pause, and commit the outputs."""
        await self._producer.commit_transaction()
        await asyncio.sleep(_PAUSE_S)
        await self._producer.begin_transaction()
        for batch, topic, partition in self._held:
            await (await self._producer.send_batch(batch, topic, partition=partition))
        await self._producer.commit_transaction()

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the partitions of a topic."""
        found: set[int] = await self._producer.partitions_for(topic)
        return found

    def create_batch(self) -> Any:
        """Return an empty batch."""
        return self._producer.create_batch()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Keep the batch for later, and say that it was sent."""
        self._held.append((batch, topic, partition))
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


def commit_before_produce(settings: Settings, tp: TopicPartition) -> Turns:
    """Return producers that commit offsets first."""
    return Turns([CommitsBeforeItProduces(_producer(settings, f"{tp.topic}-{tp.partition}-{turn}")) for turn in (0, 1)])


def one_producer(settings: Settings, tp: TopicPartition) -> Turns:
    """Return producers whose ids are this worker's own, not the partition's: whoever takes over fences nobody."""
    return Turns([_producer(settings, f"{os.getpid()}-{tp.topic}-{tp.partition}-{turn}") for turn in (0, 1)])


def _producer(settings: Settings, name: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **client_options(settings),
        transactional_id=f"{settings.group}-{name}",
        transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
        linger_ms=0,
        max_batch_size=BUILDER_BYTES,
    )


PRODUCERS: Final[Mapping[Sabotage, Producers]] = {
    Sabotage.COMMIT_BEFORE_PRODUCE: commit_before_produce,
    Sabotage.ONE_PRODUCER: one_producer,
}


if __name__ == "__main__":
    main(PRODUCERS[Sabotage(sys.argv[1])], echo=EchoEngine(dict.fromkeys(Urgency, _THINKS_S)))
