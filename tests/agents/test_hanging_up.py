"""Stopping Kafka's clients: in order, or not, whatever aiokafka ends with, and nothing of them stays."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents import hanging_up as module
from agents import replay
from agents.announcer import Announcer
from agents.hanging_up import hang_up, hang_up_producer, started
from agents.hotloop.service import new_producers
from agents.hotloop.transactions import Turns
from agents.settings import Settings
from agents.writer import Writer, producer_options
from schemas.errors import Unavailable
from tests.agents.control_kit import settings_of
from tests.agents.fakes import FakeProducer, LateProducer, Part
from tests.broker import create_topics

SOON_S = 0.2
"""What a producer has for its end, and we for closing it, on a busy machine, too."""


class Consumer:
    _coordinator = None

    def __init__(self, error: BaseException | None = None, *, ends: bool = True) -> None:
        self._client, self._fetcher = Part(), Part()
        self._error = error
        self._ends = ends
        self.stopping = asyncio.Event()
        self.cancelled = False

    async def stop(self) -> None:
        self.stopping.set()
        if self._error:
            raise self._error
        if not self._ends:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise

    @property
    def let_go(self) -> bool:
        return self._client.closed and self._fetcher.closed


async def test_a_cancellation_of_the_consumers_own_is_none_of_the_callers_and_leaves_nothing_open() -> None:
    consumer = Consumer(asyncio.CancelledError())
    await hang_up(consumer)
    assert consumer.let_go


async def test_of_all_that_is_being_fetched_nothing_goes_on() -> None:
    consumer = Consumer(asyncio.CancelledError())
    fetching = [asyncio.create_task(asyncio.sleep(99)) for _ in range(3)]
    fetcher: Any = Fetcher.__new__(Fetcher)
    fetcher._closed, fetcher._fetch_waiters = False, set()
    fetcher._fetch_task, fetcher._pending_tasks = asyncio.create_task(asyncio.sleep(99)), set(fetching)
    consumer._fetcher = fetcher
    await asyncio.sleep(0)
    await hang_up(consumer)
    assert all(task.cancelled() for task in (*fetching, fetcher._fetch_task))
    assert consumer._client.closed


async def test_an_error_is_raised_and_leaves_nothing_open() -> None:
    consumer = Consumer(ValueError("boom"))
    with pytest.raises(ValueError, match="boom"):
        await hang_up(consumer)
    assert consumer.let_go


async def test_a_consumer_that_stops_is_left_alone() -> None:
    consumer = Consumer()
    await hang_up(consumer)
    assert consumer.stopping.is_set()
    assert not consumer.let_go


async def test_a_consumer_that_does_not_stop_is_waited_for_no_longer_and_let_go_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_STOP_S", 0.001)
    consumer = Consumer(ends=False)
    await asyncio.wait_for(hang_up(consumer), 5)
    assert consumer.cancelled


async def test_a_caller_that_is_cancelled_leaves_nothing_running_or_open() -> None:
    consumer = Consumer(ends=False)
    hanging_up = asyncio.create_task(hang_up(consumer))
    await consumer.stopping.wait()
    hanging_up.cancel()
    await asyncio.gather(hanging_up, return_exceptions=True)
    assert hanging_up.cancelled()
    assert consumer.cancelled
    assert consumer.let_go


def others() -> set["asyncio.Task[Any]"]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_producer_that_stops_is_left_alone() -> None:
    producer = LateProducer()
    producer.may_end.set()
    await hang_up_producer(producer)
    assert producer.steps == ["stop"]
    assert not producer.client.closed


async def test_a_producer_that_cannot_send_leaves_nothing_running_or_open() -> None:
    producer = LateProducer()
    other = LateProducer()
    await asyncio.wait_for(hang_up_producer(producer, within_s=SOON_S), 5)
    assert producer.client.closed
    assert others() == {other.request}
    await hang_up_producer(other, within_s=SOON_S)


async def test_a_caller_that_is_cancelled_leaves_nothing_of_a_producer() -> None:
    producer = LateProducer()
    hanging_up = asyncio.create_task(hang_up_producer(producer))
    await producer.stopping.wait()
    hanging_up.cancel()
    await asyncio.gather(hanging_up, return_exceptions=True)
    assert hanging_up.cancelled()
    assert producer.client.closed
    assert others() == set()


async def test_what_a_producer_stops_with_is_nobodys_business() -> None:
    await hang_up_producer(FakeProducer({"stop": KafkaError("away")}))


async def test_a_producer_that_cannot_start_is_hung_up() -> None:
    producer = FakeProducer({"start": KafkaConnectionError("away")})
    with pytest.raises(KafkaConnectionError):
        await started(producer)
    assert producer.steps == ["start", "stop"]


async def stop_turns(producer: LateProducer, _settings: Settings) -> None:
    await Turns([producer]).stop()


async def stop_writer(producer: LateProducer, settings: Settings) -> None:
    writer = Writer(settings, "id", group="g", timeout_s=60)
    await writer.take_over()
    assert producer.steps == ["start"]
    await writer.stop()


async def stop_announcer(producer: LateProducer, settings: Settings) -> None:
    announcer = Announcer(settings)
    await announcer.start()
    await announcer.stop()


async def end_replay(producer: LateProducer, settings: Settings) -> None:
    async with replay._producer(settings):
        pass


@pytest.mark.parametrize("stop", [stop_turns, stop_writer, stop_announcer, end_replay])
async def test_whoever_stops_a_producer_that_cannot_send_leaves_nothing_of_it(
    stop: Callable[[LateProducer, Settings], Awaitable[None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    producer = LateProducer()
    monkeypatch.setattr(module, "_STOP_S", SOON_S)
    for holder in ("writer", "announcer", "replay"):
        monkeypatch.setattr(f"agents.{holder}.AIOKafkaProducer", lambda **_: producer)
    for holder in ("hotloop.transactions", "replay"):
        monkeypatch.setattr(f"agents.{holder}._STOP_S", SOON_S)
    async with asyncio.timeout(10):
        await stop(producer, settings_of("nowhere:1", "n", tmp_path))
    assert producer.client.closed
    assert others() == set()


class Endless(FakeProducer):
    """Never gets its transactional id."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False

    async def start(self) -> None:
        self._step("start")
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_transactions_that_nobody_gives_a_writer_are_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    producer = Endless()
    monkeypatch.setattr("agents.writer._START_S", 0.001)
    monkeypatch.setattr("agents.writer.AIOKafkaProducer", lambda **_: producer)
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="no transactions under id for now"):
            await Writer(settings_of("nowhere:1", "n", tmp_path), "id", group="g", timeout_s=60).take_over()
    assert producer.steps == ["start", "stop"]
    assert producer.ended


async def test_a_turn_that_is_given_up_takes_no_id_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.hotloop.transactions._STOP_S", 0.001)
    endless, other = Endless(), FakeProducer()
    starting = asyncio.create_task(Turns([endless, other]).start())
    while not (endless.steps and other.steps):  # noqa: ASYNC110 - they tell nobody
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    await asyncio.sleep(0)
    assert endless.ended
    assert others() == set()


def port_of(brokers: str) -> int:
    return int(brokers.rpartition(":")[2])


def connections(brokers: str) -> int:
    """How many connections this process has to a broker."""
    found = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == port_of(brokers) for each in found)


@contextmanager
def frozen(brokers: str) -> Iterator[None]:
    """A broker that answers nothing until the block ends."""
    found = psutil.net_connections("tcp")
    (pid,) = {each.pid for each in found if each.status == "LISTEN" and each.laddr.port == port_of(brokers)}
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@pytest.mark.broker
async def test_producers_of_a_broker_that_is_frozen_leave_nothing_running_or_open(
    kafka: str, namespace: str, tmp_path: Path
) -> None:
    create_topics(kafka, namespace)
    settings, before = settings_of(kafka, namespace, tmp_path), connections(kafka)
    turns = new_producers(settings, TopicPartition(namespace, 0))
    await turns.start()
    in_transaction, plain = turns.next(), await started(AIOKafkaProducer(**producer_options(settings)))
    for producer in (in_transaction, plain):
        await producer.partitions_for(namespace)
    await in_transaction.begin_transaction()
    batch = in_transaction.create_batch()
    batch.append(timestamp=None, key=b"k", value=b"v", headers=[])
    with frozen(kafka):
        sent = await in_transaction.send_batch(batch, namespace, partition=0)
        also_sent = await plain.send(namespace, b"v")
        assert connections(kafka) > before
        await asyncio.gather(turns.stop(), hang_up_producer(plain))
        assert (others(), connections(kafka)) == (set(), before)
    assert not sent.done()
    assert not also_sent.done()
