"""A consumer for a pass over topics: it commits nothing, and hangs up however the pass ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from agents.kafka import client_options
from agents.settings import Settings

_STOP_S: Final = 3.0


@asynccontextmanager
async def consuming(settings: Settings, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a consumer; unless ``options`` say otherwise it is in no group and reads what is committed.

    Raises:
        KafkaError: If Kafka does not answer.
    """
    ours = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"} | options
    consumer = AIOKafkaConsumer(*topics, **client_options(settings), **ours, enable_auto_commit=False)
    try:
        await consumer.start()
        yield consumer
    finally:
        await hang_up(consumer)


async def hang_up(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, if it stops within a moment.

    NOTE: where aiokafka waits before it asks again, it ends with a cancellation of its own, which would be taken for
    one of the caller's, and leaves its connections open.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping], timeout=_STOP_S)
    if not stopping.done():
        stopping.cancel()
    elif stopping.cancelled():
        await consumer._client.close()
    else:
        stopping.result()
