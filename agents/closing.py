"""Closing aiokafka's connections at once.

To close a connection by TLS both sides say farewell. Kafka reads nothing from a connection while it works on a request
that came by it, and it works on a fetch until there is something to fetch. asyncio would wait 30 s for the farewell.
"""

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection

_close: Final = AIOKafkaConnection.close


def guard_closing() -> None:
    """Let no connection of this process wait for Kafka's farewell.

    NOTE: aiokafka has no place for this; the version is pinned exactly, and the tests notice when the name is gone.
    """
    AIOKafkaConnection.close = close_connection


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
