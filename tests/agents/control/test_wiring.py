"""What Faust tells a controller, and what it does with its producer of jobs; without a broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import faust.types
import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents.control import controller as module
from agents.control.controller import Controller
from agents.settings import Settings
from tests.agents.control.decide_kit import project, state
from tests.agents.control_kit import command, settings_of
from tests.agents.control_log import CREATE, Log, controller_of, owner_of, partition_of
from tests.agents.fakes import LateProducer

TRAIN = orjson.dumps(command("train", id="t", modelLabel="v1").payload())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.0)
    return settings_of("localhost:1", "wired", tmp_path)


class Signal:
    """One of Faust's."""

    def __init__(self) -> None:
        self._hear: list[Callable[..., None]] = []

    def connect(self, hears: Callable[..., None]) -> None:
        self._hear.append(hears)

    def send(self, app: object, partitions: Iterable[object]) -> None:
        for hears in self._hear:
            hears(app, partitions, signal=self)


class App:
    """A Faust app that runs its agent when it is told to."""

    def __init__(self) -> None:
        self.on_partitions_assigned, self.on_partitions_revoked = Signal(), Signal()
        self._agents: list[Callable[[Any], Awaitable[None]]] = []

    def topic(self, *_: str, **__: object) -> None: ...

    def agent(self, _topic: None, *, name: str) -> Callable[[Any], None]:
        return self._agents.append

    async def hand_out(self, offset: int, tp: faust.types.TP) -> None:
        (agent,) = self._agents
        message = SimpleNamespace(value=CREATE[offset], topic=tp.topic, partition=tp.partition, offset=offset)
        await agent(Stream(SimpleNamespace(message=message)))


class Stream:
    def __init__(self, event: object) -> None:
        self._event = event

    def noack(self) -> Self:
        return self

    async def events(self) -> AsyncIterator[object]:
        yield self._event


async def test_what_faust_hands_out_is_done_while_its_partition_is_ours_and_left_when_it_was_revoked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, app = Log(settings, CREATE), App()
    theirs = faust.types.TP(settings.topics.control, 0)
    controller_of(log, settings, monkeypatch).register(app)
    await app.hand_out(0, theirs)
    assert (log.taken_over, log.committed) == (0, None)
    app.on_partitions_assigned.send(app, {theirs})
    await app.hand_out(0, theirs)
    assert (log.taken_over, log.committed) == (1, 1)
    app.on_partitions_revoked.send(app, {theirs})
    await app.hand_out(1, theirs)
    assert (log.taken_over, log.committed) == (1, 1)


class Jobs(LateProducer):
    """Sends jobs as it is told to: at once, or never."""

    def __init__(self, error: BaseException | None = None, *, sends: bool = True) -> None:
        super().__init__()
        self.errors = {"start": error} if error else {}
        self.asked = asyncio.Event()
        self.sent: list[Any] = []
        self._sends = sends

    async def send_and_wait(self, _topic: str, job: bytes, *, key: bytes) -> None:
        self.asked.set()
        if not self._sends:
            await asyncio.Event().wait()
        self.sent.append((key, job))


@pytest.fixture
def log(settings: Settings) -> Log:
    """A training is asked for, in a project that can be trained."""
    log = Log(settings, [TRAIN])
    log.state = state(project())
    return log


@pytest.fixture
def trains(log: Log, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Controller]:
    """Makes a controller that sends jobs with the given producers, one after the other."""

    def made(*producers: Jobs) -> Controller:
        waiting = list(producers)
        monkeypatch.setattr(module, "AIOKafkaProducer", lambda **_: waiting.pop(0))
        monkeypatch.setattr("agents.hanging_up._STOP_S", 0.2)
        return owner_of(log, settings, monkeypatch)

    return made


async def test_a_job_that_kafka_does_not_take_is_sent_again_with_another_producer(
    log: Log, trains: Callable[..., Controller], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEND_S", 0.01)
    stuck, works = Jobs(sends=False), Jobs()
    async with asyncio.timeout(10):
        await trains(stuck, works).handle(TRAIN, partition_of(settings), 0)
    assert stuck.client.closed
    assert (works.sent, log.committed) == ([(b"loans", b"t")], 1)
    assert [event["event"] for event in log.events] == ["accepted"]


async def test_a_command_whose_job_kafka_does_not_take_is_left_when_its_partition_goes(
    log: Log,
    trains: Callable[..., Controller],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "_SEND_S", 0.01)
    stuck = Jobs(sends=False)
    controller = trains(stuck)
    async with asyncio.timeout(10):
        handling = asyncio.create_task(controller.handle(TRAIN, partition_of(settings), 0))
        await stuck.asked.wait()
        controller.on_revoked(None, [TopicPartition(settings.topics.control, 0)])
        await handling
    assert (log.taken_over, log.committed) == (1, None)
    assert "left to whoever has its partition now" in caplog.text


async def test_a_producer_of_jobs_that_cannot_start_is_hung_up_and_another_one_made(
    log: Log, trains: Callable[..., Controller], settings: Settings
) -> None:
    broken, works = Jobs(KafkaConnectionError("away")), Jobs()
    await trains(broken, works).handle(TRAIN, partition_of(settings), 0)
    assert broken.steps == ["start", "stop"]
    assert (works.sent, log.committed) == ([(b"loans", b"t")], 1)


async def test_a_controller_stops_though_its_producer_of_jobs_does_not(
    trains: Callable[..., Controller], settings: Settings
) -> None:
    jobs = Jobs()
    controller = trains(jobs)
    await controller.handle(TRAIN, partition_of(settings), 0)
    async with asyncio.timeout(10):
        await controller.stop()
    assert jobs.client.closed
