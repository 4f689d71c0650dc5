"""Stopping Faust's consumer while its group rebalances."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from confluent_kafka.admin import AdminClient

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

    _method_queue = _coordinator = None

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


async def test_what_other_threads_ask_of_a_consumer_does_not_keep_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy:
        async def stop(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("agents.faust_consumer._CALLS_S", 0.01)
    thread: Any = Thread(KafkaError("no answer"))
    thread._method_queue = Busy()
    await asyncio.wait_for(_stop_in_thread(thread), 5)
    assert thread._client.closed


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
async def test_a_rebalance_that_begins_while_the_app_stops_leaves_the_consumer_alone(app: Any) -> None:
    stop, told = asyncio.Event(), list[str]()
    revoke = app._on_partitions_revoked

    async def revoke_while_stopping(partitions: object) -> None:
        stop.set()
        await app._stopped.wait()
        app.consumer.close = lambda: told.append("closed from outside")
        await revoke(partitions)
        told.append("revoked")

    app._on_partitions_revoked = revoke_while_stopping
    async with asyncio.timeout(60):
        await run_app(app, [], stop)
    assert told == ["revoked"]


@pytest.mark.broker
async def test_nobody_who_stops_waits_until_all_others_have_joined_and_the_others_know(
    app: Any, kafka: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings, stop = settings_of(kafka, namespace, tmp_path), asyncio.Event()
    async with joined_and_silent(settings), asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run_app(app, [], stop))
        await until(lambda: members(settings) == 2)
        await asyncio.sleep(0.5)  # the second waits for the first
        assert not app.consumer.assignment()
        stop.set()
        await running
        assert members(settings) == 1
    assert "did not stop" not in caplog.text


def members(settings: Settings) -> int:
    """Return how many members the controllers' group has."""
    group = group_of(settings, "worker")
    admin = AdminClient({"bootstrap.servers": settings.brokers})  # kept: without it nobody answers
    return len(admin.describe_consumer_groups([group])[group].result(timeout=10).members)


async def until(condition: Callable[[], bool]) -> None:
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - Kafka has no event of ours
        await asyncio.sleep(0.1)
