"""What goes on beside the story."""

import asyncio

import pytest

from agents.demo.story import beside
from schemas.errors import LexstreamError, Unavailable


async def broken() -> None:
    raise ValueError("the follower is gone")


async def test_a_block_that_waits_in_vain_tells_what_the_work_died_of() -> None:
    with pytest.raises(LexstreamError, match="the follower is gone") as found:
        async with beside(broken()):
            await asyncio.sleep(0)
            raise Unavailable("nothing came in time")
    assert isinstance(found.value.__cause__, ValueError)


async def test_work_that_died_fails_also_a_block_that_did_not_notice() -> None:
    with pytest.raises(LexstreamError, match="the follower is gone"):
        async with beside(broken()):
            await asyncio.sleep(0)


async def test_the_error_of_a_block_whose_work_goes_on_is_its_own() -> None:
    with pytest.raises(Unavailable, match="nothing came in time"):
        async with beside(asyncio.sleep(60)):
            raise Unavailable("nothing came in time")


async def test_who_is_cancelled_while_the_work_ends_is_cancelled() -> None:
    ending, end = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ending.set()
            await end.wait()

    async def story() -> None:
        async with beside(slow_to_end()):
            await asyncio.sleep(0)

    telling = asyncio.create_task(story())
    await ending.wait()
    telling.cancel()
    end.set()
    with pytest.raises(asyncio.CancelledError):
        await telling
