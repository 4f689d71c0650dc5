"""Work that ends early when the process is told to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """We were told to stop before the work was done."""


async def unless_told(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` returns, but cancel it as soon as ``stop`` is set.

    Raises:
        Stopped: If that happened.
    """
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Stopped
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
