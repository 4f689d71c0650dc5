"""Closing connections by TLS from which Kafka does not read, because it works on a request."""

import asyncio
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection

from agents.app import create_app
from agents.cli.context import Cli
from agents.closing import _close, guard_closing
from agents.kafka import client_options
from agents.settings import Settings, load_settings
from tests.agents.security.secured import Secured
from tests.broker import create_topics

_WORKS_S = 9.0
"""How long Kafka works on a fetch of nothing."""
_SOON_S = 4.0
"""Far less than that, and enough for a machine that does three other things."""


@pytest.fixture(autouse=True)
def _unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "close", _close)


async def stopped_while_kafka_works(settings: Settings, topic: str) -> float:
    """Stop a consumer that waits for an answer; return how long that took."""
    consumer = AIOKafkaConsumer(topic, **client_options(settings), fetch_max_wait_ms=int(1000 * _WORKS_S))
    await consumer.start()
    async with asyncio.timeout(20):
        while not any(connection._requests for connection in consumer._client._conns.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # for the request to get there
    started = time.monotonic()
    await consumer.stop()
    return time.monotonic() - started


@pytest.mark.broker
@pytest.mark.slow
async def test_kafka_is_not_waited_for(secured: Secured, namespace: str) -> None:
    settings = load_settings(secured.settings("TLS"), file=Path("no-file"))
    create_topics(secured.plain, namespace)
    assert await stopped_while_kafka_works(settings, namespace) > _SOON_S
    guard_closing()
    assert await stopped_while_kafka_works(settings, namespace) < _SOON_S


async def test_every_app_is_guarded(tmp_path: Path) -> None:
    create_app(Settings(home=tmp_path), role="worker")
    assert AIOKafkaConnection.close is not _close


def test_every_command_is_guarded() -> None:
    Cli({}).run(asyncio.sleep(0))
    assert AIOKafkaConnection.close is not _close
