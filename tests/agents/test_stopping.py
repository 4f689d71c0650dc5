import asyncio

import pytest

from agents.stopping import Stopped, unless_told


async def test_work_that_is_done_is_returned() -> None:
    assert await unless_told(asyncio.Event(), asyncio.sleep(0, 7)) == 7


async def test_what_goes_wrong_is_raised() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unless_told(asyncio.Event(), fails())


@pytest.mark.parametrize("how", ["told", "cancelled"])
async def test_work_ends_when_we_are_told_to_stop_or_cancelled(how: str) -> None:
    begun, ended, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(unless_told(stop, work()))
    await begun.wait()
    stop.set() if how == "told" else waiting.cancel()
    with pytest.raises(Stopped if how == "told" else asyncio.CancelledError):
        await waiting
    assert ended.is_set()
