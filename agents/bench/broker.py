"""The Kafka that is measured against: the one at ``brokers``, or one of our own while nobody answers there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agents.broker import LocalBroker
from agents.broker.address import free_port
from agents.kafka import wait_for_broker
from agents.settings import Settings, on_own_kafka
from schemas.errors import Unavailable

_ASK_S = 1.0


@asynccontextmanager
async def open_broker(settings: Settings, folder: Path) -> AsyncIterator[Settings]:
    """Return settings with a Kafka that answers. One that is started here lives in ``folder``, and is stopped."""
    if await _answers(settings):
        yield settings
        return
    address = f"127.0.0.1:{free_port()}"
    broker = LocalBroker(folder, address, cache=settings.home.absolute() / "jars")
    try:
        await asyncio.to_thread(broker.start)
        yield settings.model_copy(update=on_own_kafka(address))
    finally:
        await asyncio.to_thread(broker.stop)


async def _answers(settings: Settings) -> bool:
    try:
        await wait_for_broker(settings.model_copy(update={"broker_wait_s": _ASK_S}))
    except Unavailable:
        return False
    return True
