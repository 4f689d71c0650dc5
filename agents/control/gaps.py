"""Commands that nobody handled: what of the control topic lies between the group's offset and a command at hand.

Faust drops a message that it fetched just before a rebalance, even where the partition stays with this process.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from agents.app import group_of
from agents.consumer import consuming
from agents.settings import Settings
from schemas.errors import LexstreamError, Unavailable

logger = logging.getLogger(__name__)

_ANSWER_S: Final = 10.0
"""Less than people wait for a command to be taken."""
_MOST: Final = 1000
_MOST_BYTES: Final = 8 * 1024 * 1024
"""How much to take into memory at once of what waits: anybody may have filled the topic with anything."""

Message = tuple[int, bytes | None]
"""Offset and value."""
Handle = Callable[[bytes | None, TopicPartition, int], Awaitable[None]]
"""Does the command of a partition at an offset, and those before it."""


class Gaps:
    """What the workers' group has not consumed of the control topic, and how far we did."""

    def __init__(self, settings: Settings) -> None:
        """Look in the control topic that ``settings`` name."""
        self._settings = settings
        self._group = group_of(settings, "worker")
        self._next: dict[TopicPartition, int] = {}

    def consumed(self, partition: TopicPartition, next_offset: int) -> None:
        """Take note that our group goes on from ``next_offset``."""
        self._next[partition] = next_offset

    def forget(self) -> None:
        """Ask Kafka for the group's offset the next time."""
        self._next.clear()

    async def up_to(self, partition: TopicPartition, offset: int, value: bytes | None) -> AsyncIterator[Message]:
        """Yield the command at hand after those that were skipped; nothing if it was consumed before.

        Raises:
            KafkaError: If Kafka refuses to answer.
            Unavailable: If it does not answer in time.
        """
        if self._next.get(partition) != offset:
            start = await committed_offset(self._settings, self._group, partition)
            if start is not None and start > offset:
                return
            while missed := await read_between(self._settings, partition, start=start, end=offset):
                logger.warning("%d commands were skipped: done now", len(missed), extra={"action": "controller_gap"})
                for message in missed:
                    yield message
                start = missed[-1][0] + 1
        yield offset, value

    async def look(self, idle: Callable[[], Iterable[TopicPartition]], handle: Handle, *, every_s: float) -> None:
        """Handle, for ever, what waits although nothing is being handled: Faust may have skipped it.

        The next command would bring it along, but nobody knows when that comes. What has only just arrived is left to
        Faust: it has to be there when we look twice. A look that fails is told, and is no look.

        Args:
            idle: Returns those of our partitions of which no command is being handled.
            handle: Does what was skipped.
            every_s: How often to look.
        """
        seen: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(every_s)
            for partition in idle():
                try:
                    seen[partition] = await self._look_once(partition, seen.get(partition, -1), handle)
                except (KafkaError, OSError, LexstreamError) as error:
                    logger.warning("cannot look for commands: %r; trying again", error, extra={"action": "retry"})

    async def _look_once(self, partition: TopicPartition, before: int, handle: Handle) -> int:
        """Handle commands up to ``before``; return the offset of the last one that waits now, or -1."""
        committed = await committed_offset(self._settings, self._group, partition)
        waiting = await read_between(self._settings, partition, start=committed)
        if ready := [(place, value) for place, value in waiting if place <= before]:
            place, value = ready[-1]
            words = "%d commands wait although none is being done; looking after them"
            logger.warning(words, len(ready), extra={"action": "controller_look"})
            self.forget()
            await handle(value, partition, place)
        return waiting[-1][0] if waiting else -1


async def committed_offset(settings: Settings, group: str, partition: TopicPartition) -> int | None:
    """Return the offset from which ``group`` goes on, or nothing if it never committed one.

    Raises:
        KafkaError: If Kafka refuses to answer.
        Unavailable: If it does not answer in time.
    """
    async with _answered(), consuming(settings, group_id=group) as consumer:
        found: int | None = await consumer.committed(partition)
        return found


async def read_between(
    settings: Settings, partition: TopicPartition, *, start: int | None, end: int | None = None
) -> list[Message]:
    """Return the first messages of a part of a partition, in order: none only if there are none.

    Args:
        settings: Where Kafka is.
        partition: Of which topic.
        start: The offset where the part begins; by default the first that is there.
        end: The offset behind the part; by default that behind the last one that is there.

    Raises:
        KafkaError: If Kafka refuses to answer.
        Unavailable: If nothing comes for too long.
    """
    if start is not None and end is not None and start >= end:
        return []
    found: list[Message] = []
    n_bytes = 0
    # As Faust reads: what is not committed, too.
    async with _answered() as patience, consuming(settings, isolation_level="read_uncommitted") as consumer:
        consumer.assign([partition])
        begin = max((await consumer.beginning_offsets([partition]))[partition], start or 0)
        last = (await consumer.end_offsets([partition]))[partition]
        last = last if end is None else min(end, last)
        consumer.seek(partition, begin)
        while len(found) < _MOST and n_bytes < _MOST_BYTES and await consumer.position(partition) < last:
            polled = await consumer.getmany(partition, timeout_ms=200, max_records=_MOST - len(found))
            messages = [message for message in polled.get(partition, []) if message.offset < last]
            found += [(message.offset, message.value) for message in messages]
            n_bytes += sum(len(message.value or b"") for message in messages)
            if messages:
                patience.reschedule(asyncio.get_running_loop().time() + _ANSWER_S)
    return found


@asynccontextmanager
async def _answered() -> AsyncIterator[asyncio.Timeout]:
    try:
        async with asyncio.timeout(_ANSWER_S) as patience:
            yield patience
    except TimeoutError as error:
        raise Unavailable(f"Kafka did not tell within {_ANSWER_S:.0f} s which commands wait") from error
