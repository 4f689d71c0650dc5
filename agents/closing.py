"""Closing aiokafka's connections and consumers at once, and without an error of their own.

To close a connection by TLS both sides say farewell. Kafka reads nothing from a connection while it works on a request
that came by it, and it works on a fetch until there is something to fetch, and on a request to join a group until all
others have joined. asyncio would wait 30 s for the farewell, so whoever stops in a rebalance would wait, too.

And a consumer that is stopped while it pauses after a fetch that failed ends with the cancellation of that pause. Faust
takes that for its own, and does not stop.
"""

import asyncio
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher

_close: Final = AIOKafkaConnection.close
_close_fetcher: Final = Fetcher.close


def guard_closing() -> None:
    """Let no connection of this process wait for Kafka's farewell, and no consumer break off when it is stopped.

    NOTE: aiokafka has no place for this; the version is pinned exactly, and the tests notice when the names are gone.
    """
    AIOKafkaConnection.close = close_connection
    Fetcher.close = close_fetcher


def close_connection(connection: Any, reason: Any = None, exc: BaseException | None = None) -> Any:
    """Close a connection: say farewell, and hang up. Requests that were not answered are given up, as ever.

    Args:
        connection: aiokafka's.
        reason: Why, for whoever made it.
        exc: What those are told who wait for an answer.

    Returns:
        aiokafka's future: done when the connection is closed; ``None`` if it never was open.
    """
    writer = connection._writer
    closed = _close(connection, reason=reason, exc=exc)
    if writer is not None:
        writer.transport.abort()
    return closed


async def close_fetcher(fetcher: Any) -> None:
    """Close what fetches for a consumer; only a cancellation of the caller's goes on to the caller."""
    task = asyncio.current_task()
    try:
        await _close_fetcher(fetcher)
    except asyncio.CancelledError:
        if task is not None and task.cancelling():
            raise
    pending = list(fetcher._pending_tasks)
    for each in pending:
        each.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
