"""A partition's high watermark: for those who read committed it ends before the first open transaction instead."""

import asyncio
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.consumer import consuming
from agents.settings import Settings


class HighWatermark:
    """Asks for the high watermark of ``partition``, by a client of its own that connects when it is asked first."""

    def __init__(self, settings: Settings, partition: TopicPartition) -> None:
        self._settings = settings
        self._partition = partition
        self._consumer: AIOKafkaConsumer | None = None
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def ask(self) -> int:
        """Return the offset behind the last message that will not be lost, committed or not.

        Raises:
            KafkaError: If Kafka does not tell.
        """
        consumer = await self._connected()
        ends: dict[TopicPartition, int] = await consumer.end_offsets([self._partition])
        return ends[self._partition]

    async def close(self) -> None:
        """Disconnect; whoever asks afterwards connects anew.

        Raises:
            KafkaError: What the client broke off with.
        """
        async with self._lock:
            self._consumer = None
            await self._stack.aclose()

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._lock:
            if self._consumer is None:
                asking = consuming(self._settings, isolation_level="read_uncommitted")
                self._consumer = await self._stack.enter_async_context(asking)
            return self._consumer
