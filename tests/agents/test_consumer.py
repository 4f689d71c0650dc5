"""A pass over topics hangs up however it ends, and ends with what ended it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents.broker.address import free_port
from agents.consumer import consuming
from agents.settings import Settings
from tests.agents.control_kit import settings_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(f"127.0.0.1:{free_port()}", "n", tmp_path)


async def test_a_consumer_that_cannot_start_is_hung_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    stop = AIOKafkaConsumer.stop

    async def noted(consumer: AIOKafkaConsumer) -> None:
        closed.append(consumer)
        await stop(consumer)

    monkeypatch.setattr(AIOKafkaConsumer, "stop", noted)
    with pytest.raises(KafkaConnectionError):
        async with consuming(settings):
            pass
    assert len(closed) == 1


@pytest.fixture
def unstoppable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers start, but stop with an error."""
    stop = AIOKafkaConsumer.stop

    async def start(_consumer: AIOKafkaConsumer) -> None: ...

    async def broken(consumer: AIOKafkaConsumer) -> None:
        await stop(consumer)
        raise KafkaError("cannot stop")

    monkeypatch.setattr(AIOKafkaConsumer, "start", start)
    monkeypatch.setattr(AIOKafkaConsumer, "stop", broken)


@pytest.mark.usefixtures("unstoppable")
async def test_a_pass_that_is_cancelled_stays_cancelled_whatever_its_consumer_stops_with(settings: Settings) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with consuming(settings):
            reading.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.usefixtures("unstoppable")
async def test_a_pass_that_ended_well_tells_what_its_consumer_stopped_with(settings: Settings) -> None:
    with pytest.raises(KafkaError, match="cannot stop"):
        async with consuming(settings):
            pass
