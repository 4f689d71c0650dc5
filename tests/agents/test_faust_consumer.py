"""Stopping Faust's consumer while its group rebalances."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from agents.app import create_app, group_of, run_app
from agents.faust_consumer import _stop_in_thread
from agents.hanging_up import hang_up
from agents.kafka import client_options
from agents.settings import Settings
from agents.topics import create_topics
from tests.agents.control_kit import settings_of
from tests.agents.fakes import Part


class Thread:
    """What of Faust's thread its stop needs; its consumer breaks off."""

    _method_queue = None

    def __init__(self, error: BaseException) -> None:
        self._consumer = self
        self._client, self._fetcher = Part(), Part()
        self._error = error

    async def stop(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KafkaError("no answer"), KeyError("a mistake")])
async def test_a_consumer_that_breaks_off_does_not_keep_its_thread(error: BaseException) -> None:
    thread = Thread(error)
    await _stop_in_thread(thread)
    assert thread._client.closed
    assert thread._fetcher.closed


@pytest.fixture
async def app(kafka: str, namespace: str, tmp_path: Path) -> Any:
    settings = settings_of(kafka, namespace, tmp_path)
    await create_topics(settings, 1)
    made = create_app(settings, role="worker")
    made.agent(made.topic(settings.topics.control))(take_nothing)
    return made


async def take_nothing(stream: Any) -> None:
    async for _ in stream:
        pass


@asynccontextmanager
async def joined_and_silent(settings: Settings) -> AsyncIterator[None]:
    """Be a member of the controllers' group that is told of no rebalance, and of which Kafka waits 60 s for news."""
    minute: Any = 60_000
    member = AIOKafkaConsumer(
        settings.topics.control,
        **client_options(settings),
        group_id=group_of(settings, "worker"),
        session_timeout_ms=minute,
        rebalance_timeout_ms=minute,
        heartbeat_interval_ms=minute,
    )
    await member.start()
    try:
        yield
    finally:
        await hang_up(member)


@pytest.mark.broker
async def test_a_rebalance_that_begins_while_the_app_stops_leaves_the_consumer_alone(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stop, revoked = asyncio.Event(), list[object]()
    revoke = app._on_partitions_revoked

    async def revoke_while_stopping(partitions: object) -> None:
        stop.set()
        await app._stopped.wait()
        revoked.append(partitions)
        await revoke(partitions)
        await asyncio.sleep(0.1)
        client = app.consumer._thread._consumer._client
        client._loop.call_soon_threadsafe(client.force_metadata_update)  # as after a connection that broke

    app._on_partitions_revoked = revoke_while_stopping
    async with asyncio.timeout(60):
        await run_app(app, [], stop)
    assert revoked
    assert "did not stop" not in caplog.text


@pytest.mark.broker
async def test_nobody_who_stops_waits_until_all_others_have_joined(
    app: Any, kafka: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    async with joined_and_silent(settings_of(kafka, namespace, tmp_path)), asyncio.timeout(60):
        running = asyncio.create_task(run_app(app, [], stop))
        await app.wait_for_stopped(asyncio.sleep(3))
        assert not app.consumer.assignment(), "the other member was not waited for"
        stop.set()
        await running
    assert "did not stop" not in caplog.text
