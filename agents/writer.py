"""Writing to several topics at once, as the only one who may: a transactional producer that fences its predecessor."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.fencing import BROKEN, is_fatal, is_fenced
from agents.hanging_up import hang_up_producer, started
from agents.hotloop.transactions import abort
from agents.kafka import client_options
from agents.settings import Settings
from schemas.control_events import ControlEvent
from schemas.errors import Fenced, Unavailable

_START_S: Final = 30.0
_IN_FLIGHT: Final = 500
_OVERHEAD_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be written; ``value=None`` deletes the key from a compacted topic."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


def event_entry(settings: Settings, event: ControlEvent) -> Entry:
    """Return the entry of a control event."""
    return Entry(settings.topics.control_events, event.project.encode(), orjson.dumps(event.payload()))


def producer_options(settings: Settings) -> dict[str, Any]:
    """Return the options of an idempotent producer that takes whatever our topics take."""
    return {
        **client_options(settings),
        "enable_idempotence": True,
        "max_request_size": settings.max_message_bytes * 5 // 2 + _OVERHEAD_BYTES,
        "request_timeout_ms": 20_000,
    }


class Writer:
    """The holder of one transactional id.

    Any failure drops the producer; the next ``take_over`` makes a new one, whose start aborts what the old left open.
    So after ``take_over`` nothing of the id is open any more, and whoever held it before can write no more. What was
    committed before is read up to the high watermark: somebody else's transaction may hide it.
    """

    def __init__(self, settings: Settings, transactional_id: str, *, group: str, timeout_s: float) -> None:
        """Hold ``transactional_id``; offsets that are committed belong to the consumer group ``group``."""
        self._options = {
            **producer_options(settings),
            "transactional_id": transactional_id,
            "transaction_timeout_ms": int(timeout_s * 1000),
        }
        self._id = transactional_id
        self._group = group
        self._producer: AIOKafkaProducer | None = None

    async def take_over(self) -> None:
        """Make sure that nobody else writes under our id, from now until somebody else takes over.

        Raises:
            Unavailable: If Kafka does not answer.
        """
        if self._producer and not is_fatal(self._producer):
            return
        await self.stop()
        try:
            async with asyncio.timeout(_START_S):  # by itself it asks without end for a node that coordinates
                self._producer = await started(AIOKafkaProducer(**self._options))
        except (KafkaError, OSError) as error:
            raise Unavailable(f"no transactions under {self._id} for now: {error!r}") from error

    async def commit(self, entries: Iterable[Entry], *, offset: tuple[TopicPartition, int] | None = None) -> None:
        """Make all entries, and the offset of what was consumed, visible at once.

        Args:
            entries: What to write. They are taken one after the other, so they may come from a generator.
            offset: The partition and its next offset.

        Raises:
            Fenced: If somebody else took over, and nothing was written.
            Unavailable: If something failed, and nothing was written, unless the very answer got lost: look after
                the next ``take_over``.
        """
        producer = self._producer
        if producer is None:
            raise Fenced(f"{self._id}: got a commit, expected take_over() before")
        try:
            await producer.begin_transaction()
            await _send_all(producer, entries)
            if offset:
                await producer.send_offsets_to_transaction({offset[0]: offset[1]}, self._group)
            await producer.commit_transaction()
        except Exception as error:
            fenced = is_fenced(producer, error)
            await self.stop()
            if fenced:
                raise Fenced(f"somebody else took over {self._id}, or Kafka ended it: {error!r}") from error
            if isinstance(error, (*BROKEN, OSError)):
                raise Unavailable(f"transaction of {self._id} failed: {error!r}") from error
            raise
        except BaseException:  # we are told to stop: what stays open would hide from others what they commit
            try:
                await abort(producer)
            finally:
                await self.stop()
            raise

    async def stop(self) -> None:
        """Let go of the id."""
        producer, self._producer = self._producer, None
        if producer:
            await hang_up_producer(producer)


async def _send_all(producer: AIOKafkaProducer, entries: Iterable[Entry]) -> None:
    pending = []
    for entry in entries:
        pending.append(await producer.send(entry.topic, entry.value, key=entry.key, partition=entry.partition))
        if len(pending) >= _IN_FLIGHT:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
