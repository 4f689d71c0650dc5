"""The Kafka that is measured against: the one at ``brokers``, or one of our own while nobody answers there."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from agents.broker import LocalBroker
from agents.broker.address import free_port
from agents.kafka import wait_for_broker
from agents.settings import Settings
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
        # What is cached in settings does not depend on these.
        yield settings.model_copy(update={"brokers": address, "security_protocol": "PLAINTEXT"})
    finally:
        await asyncio.to_thread(broker.stop)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Take down what was started also when we are terminated."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


async def _answers(settings: Settings) -> bool:
    try:
        await wait_for_broker(settings.model_copy(update={"broker_wait_s": _ASK_S}))
    except Unavailable:
        return False
    return True
