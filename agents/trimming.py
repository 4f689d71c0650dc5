"""Memory that was freed goes back to the system.

glibc keeps what lies between pieces that are in use, for the next time. Long documents, and models that come and go,
leave such holes, and more of them with each hour: a process that loses nothing still grows.
"""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 60.0

Trim = Callable[[int], object]


def malloc_trim() -> Trim | None:
    """Return the C library's function that gives memory back (``man 3 malloc_trim``); only glibc has it."""
    found: Trim | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


class Trimming:
    """Gives freed memory back every minute. Belongs to one event loop; a thread does it, without Python's lock.

    Args:
        trim: Gives memory back; nothing to do without it.
        every_s: How often.
    """

    def __init__(self, trim: Trim | None, *, every_s: float = _EVERY_S) -> None:
        self._trim = trim
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        if self._trim is not None:
            self._task = asyncio.create_task(self._run(self._trim), name="trimming")

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, trim: Trim) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await asyncio.to_thread(trim, 0)
