"""A consumer for a pass over topics: it commits nothing, and hangs up however the pass ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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
    """Stop a consumer. One that does not within a moment, or not in order, is let go of all the same.

    NOTE: where aiokafka waits before it asks again, it ends with a cancellation of its own, which would be taken for
    one of the caller's; and wherever it breaks off it leaves its tasks and connections behind.

    Raises:
        KafkaError: What it broke off with.
    """
    stopping = asyncio.create_task(consumer.stop())
    try:
        await asyncio.wait([stopping], timeout=_STOP_S)
    finally:
        if not stopping.done() or stopping.cancelled() or stopping.exception():
            await _let_go(consumer, stopping)
    if stopping.done() and not stopping.cancelled():
        stopping.result()


async def _let_go(consumer: AIOKafkaConsumer, stopping: "asyncio.Task[None]") -> None:
    stopping.cancel()
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(stopping, _close_parts(consumer), return_exceptions=True), _STOP_S)


async def _close_parts(consumer: AIOKafkaConsumer) -> None:
    try:
        if consumer._fetcher:
            await consumer._fetcher.close()
    finally:
        await consumer._client.close()
