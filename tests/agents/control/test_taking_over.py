"""Taking over what a dead controller left open, with each assignment; without a broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from agents.control import controller as module
from agents.control.controller import Controller
from agents.settings import Settings
from schemas.errors import Unavailable
from tests.agents.control_kit import settings_of
from tests.agents.control_log import Log, controller_of


class Writer:
    """Takes over as it is told to, and notes what it did."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.errors: list[Exception] = []
        self.may_end, self.may_stop = asyncio.Event(), asyncio.Event()
        self.may_end.set()
        self.may_stop.set()
        self._news = asyncio.Event()

    async def take_over(self) -> None:
        self._note("begin")
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self._note("cancelled")
            raise
        error = self.errors.pop() if self.errors else None
        self._note(type(error).__name__ if error else "end")
        if error:
            raise error

    async def stop(self) -> None:
        self._note("stop")
        await self.may_stop.wait()

    async def until(self, *did: str) -> None:
        async with asyncio.timeout(5):
            while self.did != list(did):
                self._news.clear()
                await self._news.wait()

    def _note(self, what: str) -> None:
        self.did.append(what)
        self._news.set()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of("localhost:1", "taking", tmp_path)


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def left() -> list[BaseException]:
    return []


@pytest.fixture
async def controller(
    settings: Settings, writer: Writer, left: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Controller]:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
    made = controller_of(Log(settings, []), settings, monkeypatch, leave=left.append)
    monkeypatch.setattr(made, "_writer", writer)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def assign(controller: Controller, settings: Settings) -> Callable[..., None]:
    """Assigns some partitions of the control topic, by default the only one."""

    def assigned(*partitions: int) -> None:
        controller.on_assigned(None, [TopicPartition(settings.topics.control, one) for one in partitions or (0,)])

    return assigned


async def test_a_kafka_that_does_not_answer_is_asked_again_until_it_does(
    assign: Callable[..., None], writer: Writer, left: list[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    writer.errors = [Unavailable("no answer"), Unavailable("no answer")]
    assign()
    await writer.until(*["stop", "begin", "Unavailable"] * 2, "stop", "begin", "end")
    assert [record.action for record in caplog.records if hasattr(record, "action")] == ["controller_retry"] * 2
    assert left == []


async def test_an_assignment_while_we_take_over_lets_that_end_and_takes_over_once_more(
    assign: Callable[..., None], writer: Writer
) -> None:
    writer.may_end.clear()
    assign()
    await writer.until("stop", "begin")
    assign()
    await asyncio.sleep(0)
    writer.may_end.set()
    await writer.until("stop", "begin", "end", "stop", "begin", "end")


async def test_what_went_to_another_is_not_taken_over_any_more(
    controller: Controller, assign: Callable[..., None], writer: Writer
) -> None:
    writer.errors = [Unavailable("no answer")]
    writer.may_end.clear()
    assign()
    await writer.until("stop", "begin")
    controller.on_assigned(None, [TopicPartition("another", 0)])
    writer.may_end.set()
    await writer.until("stop", "begin", "Unavailable")
    await at_rest(controller)
    assert writer.did == ["stop", "begin", "Unavailable"]
    assign()
    await writer.until("stop", "begin", "Unavailable", "stop", "begin", "end")


async def test_what_goes_to_another_while_our_producer_stops_is_not_taken_over(
    controller: Controller, assign: Callable[..., None], writer: Writer
) -> None:
    writer.may_stop.clear()
    assign()
    await writer.until("stop")
    controller.on_revoked(None, [])
    writer.may_stop.set()
    await at_rest(controller)
    assert writer.did == ["stop"]


async def at_rest(controller: Controller) -> None:
    """Return when it waits for the next assignment, and nothing is left to be done for the last."""
    assigned = controller._assigned_anew
    async with asyncio.timeout(5):
        while assigned.is_set() or controller._handling.locked() or not assigned._waiters:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_something_unforeseen_ends_the_process(
    assign: Callable[..., None], writer: Writer, left: list[BaseException]
) -> None:
    writer.errors = [ValueError("boom")]
    assign()
    await writer.until("stop", "begin", "ValueError")
    async with asyncio.timeout(5):
        while not left:  # noqa: ASYNC110 - who leaves tells nobody
            await asyncio.sleep(0.001)
    assert [str(error) for error in left] == ["boom"]
