"""Stopping a consumer, also one that aiokafka itself stops with a cancellation."""

import asyncio

import pytest

from agents.consumer import hang_up


class Client:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Consumer:
    def __init__(self, error: BaseException | None = None) -> None:
        self._client = Client()
        self._error = error
        self.stopped = False

    async def stop(self) -> None:
        self.stopped = True
        if self._error:
            raise self._error


async def test_a_cancellation_of_the_consumers_own_is_none_of_the_callers_and_leaves_nothing_open() -> None:
    consumer = Consumer(asyncio.CancelledError())
    await hang_up(consumer)
    assert consumer._client.closed


async def test_an_error_is_raised() -> None:
    with pytest.raises(ValueError, match="boom"):
        await hang_up(Consumer(ValueError("boom")))


async def test_a_consumer_that_stops_is_stopped() -> None:
    consumer = Consumer()
    await hang_up(consumer)
    assert consumer.stopped
    assert not consumer._client.closed
