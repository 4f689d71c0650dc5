"""Freed memory goes back to the system."""

import asyncio

import psutil
import pytest

from agents.trimming import Trimming, malloc_trim

_PIECE, _PIECES, _KEPT_OF = 4096, 30_000, 100


async def test_memory_is_given_back_again_and_again_until_stopped() -> None:
    calls: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    trimming = Trimming(lambda pad: loop.call_soon_threadsafe(calls.put_nowait, pad), every_s=0.0)
    await trimming.start()
    (task,) = running()
    async with asyncio.timeout(5):
        assert [await calls.get(), await calls.get()] == [0, 0]
    await trimming.stop()
    assert task.done()


async def test_a_library_without_it_needs_nothing() -> None:
    trimming = Trimming(None, every_s=0.0)
    await trimming.start()
    assert running() == []
    await trimming.stop()


def running() -> list["asyncio.Task[None]"]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "trimming"]


def test_holes_between_pieces_that_are_in_use_go_back_to_the_system() -> None:
    trim = malloc_trim()
    if trim is None:
        pytest.fail("expected glibc here")
    pieces = [bytes([at % 255 + 1]) * _PIECE for at in range(_PIECES)]
    kept = pieces[::_KEPT_OF]
    del pieces
    before = psutil.Process().memory_info().rss
    trim(0)
    assert before - psutil.Process().memory_info().rss > _PIECE * _PIECES // 2
    assert len(kept) == _PIECES // _KEPT_OF
