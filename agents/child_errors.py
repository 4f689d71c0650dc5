"""What a child writes to its standard error: passed on to ours, line by line, with its tail kept."""

import asyncio
import os
import sys
from contextlib import suppress
from typing import Final, Self

_TAIL_BYTES: Final = 16 * 1024
_PATIENCE_S: Final = 1.0


class ChildErrors:
    """A pipe for one child's standard error.

    NOTE: not asyncio's own pipe: with that, waiting for a process is waiting for all that inherited the pipe, too.

    Attributes:
        entrance: The file descriptor that the child gets; to be closed here by ``given`` then.
    """

    def __init__(self, entrance: int, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self.entrance = entrance
        self._reader = reader
        self._transport = transport
        self._tail = b""
        self._task = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls) -> Self:
        """Make the pipe and begin to listen."""
        exit_, entrance = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(exit_, "rb", 0)
        )
        return cls(entrance, reader, transport)

    def given(self) -> None:
        """Note that the child has its end, or never will: ours is closed."""
        os.close(self.entrance)

    async def tail(self) -> str:
        """Return the tail when nobody can say more, and close. What left the child's session is not waited for."""
        await asyncio.wait({self._task}, timeout=_PATIENCE_S)
        self._task.cancel()
        self._transport.close()
        return self._tail.decode("utf-8", "replace")

    async def _listen(self) -> None:
        waiting = b""
        while said := await self._reader.read(_TAIL_BYTES):
            self._tail = (self._tail + said)[-_TAIL_BYTES:]
            whole, newline, waiting = (waiting + said).rpartition(b"\n")
            if len(waiting) > _TAIL_BYTES:  # no line of ours: written as it comes
                newline, waiting = newline + waiting, b""
            _write(whole + newline)
        _write(waiting)


def _write(said: bytes) -> None:
    with suppress(OSError, ValueError):  # a terminal that was closed must not stop what we keep running
        sys.stderr.write(said.decode("utf-8", "replace"))
        sys.stderr.flush()
