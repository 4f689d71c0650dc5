"""Stopping a consumer while it pauses after a fetch that failed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher

from agents.closing import _close_fetcher, close_fetcher, guard_closing


class Fetching:
    """What of a fetcher its close needs; ``work`` is what it is at."""

    def __init__(self, *work: Coroutine[Any, Any, Any]) -> None:
        self._closed = False
        self._fetch_waiters: set[object] = set()
        self._fetch_task = asyncio.create_task(asyncio.sleep(99))
        self._pending_tasks = {asyncio.create_task(each) for each in work}


async def begun(*work: Coroutine[Any, Any, Any]) -> Any:
    made = Fetching(*work)
    await asyncio.sleep(0)
    return made


async def stubborn() -> None:
    try:
        await asyncio.sleep(99)
    except asyncio.CancelledError:
        await asyncio.sleep(99)


async def test_a_pause_is_cut_short_and_nobody_is_cancelled_by_that() -> None:
    with pytest.raises(asyncio.CancelledError):
        await _close_fetcher(await begun(asyncio.sleep(99)))
    fetching = await begun(asyncio.sleep(99), asyncio.sleep(99))
    await close_fetcher(fetching)
    assert fetching._closed
    assert all(each.done() for each in (fetching._fetch_task, *fetching._pending_tasks))


async def test_who_closes_can_be_cancelled() -> None:
    fetching = await begun(stubborn())
    closing = asyncio.create_task(close_fetcher(fetching))
    await asyncio.sleep(0.01)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    assert closing.cancelled()


def test_every_consumer_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fetcher, "close", _close_fetcher)
    guard_closing()
    assert Fetcher.close is close_fetcher
