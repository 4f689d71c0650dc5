"""Stopping a consumer: in order, or not, whatever aiokafka ends with."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from agents import consumer as module
from agents.broker.address import free_port
from agents.consumer import consuming, hang_up
from tests.agents.control_kit import settings_of


class Part:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Consumer:
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


async def test_a_consumer_that_cannot_start_is_hung_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    stop = AIOKafkaConsumer.stop

    async def noted(consumer: AIOKafkaConsumer) -> None:
        closed.append(consumer)
        await stop(consumer)

    monkeypatch.setattr(AIOKafkaConsumer, "stop", noted)
    with pytest.raises(KafkaConnectionError):
        async with consuming(settings_of(f"127.0.0.1:{free_port()}", "n", tmp_path)):
            pass
    assert len(closed) == 1
