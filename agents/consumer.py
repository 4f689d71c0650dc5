"""A consumer for a pass over topics: it commits nothing, and hangs up however the pass ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer

from agents.hanging_up import hang_up
from agents.kafka import client_options
from agents.settings import Settings


@asynccontextmanager
async def consuming(settings: Settings, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a consumer; unless ``options`` say otherwise it is in no group and reads what is committed.

    Raises:
        KafkaError: If Kafka does not answer, or the consumer stopped with an error and nothing else ended the pass.
    """
    ours = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"} | options
    consumer = AIOKafkaConsumer(*topics, **client_options(settings), **ours, enable_auto_commit=False)
    try:
        await consumer.start()
        yield consumer
    except BaseException:
        with suppress(Exception):  # what ended the pass says more, and may be a cancellation
            await hang_up(consumer)
        raise
    await hang_up(consumer)
