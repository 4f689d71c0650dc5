"""Reads ahead: from the consumer into the partitions' queues, pausing those that hold enough."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from agents.hotloop.decode import Decoder, Item, Record
from agents.hotloop.ownership import Ownership
from agents.hotloop.partitions import Partitions
from agents.metrics import Metrics
from schemas.errors import Unavailable

logger = logging.getLogger(__name__)

POLL_MS = 200
POLL_RECORDS = 500
REST_S = 0.01
"""Between polls while a window is in the model: what arrives then waits for the next one anyway, and a poll for each
event takes the processor from the model."""
_SLICE = 100
_SLICE_BYTES = 512 * 1024
_RETRY_S = 0.5
_LAG_EVERY_S = 1.0

Decode = Callable[[Sequence[Record]], Awaitable[list[Item]]]


async def decode_here(decoder: Decoder, records: Sequence[Record]) -> list[Item]:
    """Decode on this event loop, letting others run now and then."""
    items: list[Item] = []
    n_bytes = 0
    for number, record in enumerate(records, start=1):
        items.append(decoder(record))
        n_bytes += len(record.value or b"")
        if number % _SLICE == 0 or n_bytes > _SLICE_BYTES:
            n_bytes = 0
            await asyncio.sleep(0)  # heartbeats, too, are sent on this loop
    return items


async def decode_in_thread(decoder: Decoder, records: Sequence[Record]) -> list[Item]:
    """Decode in another thread: an unknown schema id may mean to ask a schema registry and wait."""
    return await asyncio.to_thread(lambda: [decoder(record) for record in records])


class Reader:
    """Fills the queues.

    Args:
        consumer: An aiokafka consumer.
        partitions: The partitions that are ours.
        ownership: What to tell when records came too late.
        decode: Makes items of records.
        buffer_bytes: Most memory of what waits, over all partitions.
        metrics: What is measured.
    """

    def __init__(
        self,
        consumer: Any,
        partitions: Partitions,
        *,
        ownership: Ownership,
        decode: Decode,
        buffer_bytes: int,
        metrics: Metrics,
    ) -> None:
        self._consumer = consumer
        self._partitions = partitions
        self._ownership = ownership
        self._decode = decode
        self._buffer_bytes = buffer_bytes
        self._arrived: Callable[[], None] = lambda: None
        self._busy: Callable[[], bool] = lambda: False
        self._metrics = metrics
        self._next_lag = 0.0

    def on_arrival(self, call: Callable[[], None]) -> None:
        """Call ``call`` when something new waits."""
        self._arrived = call

    def rest_while(self, busy: Callable[[], bool]) -> None:
        """Poll less often while ``busy`` says so."""
        self._busy = busy

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            epochs = self._partitions.epochs()
            started = time.monotonic()
            try:
                batches: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                    timeout_ms=POLL_MS, max_records=POLL_RECORDS
                )
            except KafkaError as error:
                self._metrics.retries.labels("poll").inc()
                logger.warning("cannot poll: %r; trying again", error, extra={"action": "retry"})
                self._ownership.read_again()
                await asyncio.sleep(_RETRY_S)
                continue
            if batches:
                self._metrics.observe_stage("poll", time.monotonic() - started)
            for tp, records in batches.items():
                self._accept(tp, epochs.get(tp), await self._decoded(records))
            self._pause_and_resume()
            self._measure()
            if self._busy():
                await asyncio.sleep(REST_S)

    async def _decoded(self, records: Sequence[Record]) -> list[Item]:
        started = time.monotonic()
        while True:
            try:
                items = await self._decode(records)
            except Unavailable as error:
                self._metrics.retries.labels("schema registry").inc()
                logger.warning("%s; trying again", error, extra={"action": "retry"})
                await asyncio.sleep(_RETRY_S)
            else:
                self._metrics.observe_stage("decode", time.monotonic() - started)
                return items

    def _accept(self, tp: TopicPartition, epoch: int | None, items: list[Item]) -> None:
        """Queue what was read, unless the partition moved on since the poll began: then read it again.

        Whatever a poll hands out moves the consumer's position; so dropping without a seek would lose it.
        """
        partition = self._partitions.get(tp)
        if partition is None:
            self._metrics.stale.inc(len(items))  # whoever acquires it seeks
        elif partition.epoch != epoch:
            self._metrics.stale.inc(len(items) + self._ownership.rewind(partition))
        else:
            partition.put(items)
            self._arrived()

    def _pause_and_resume(self) -> None:
        share = self._buffer_bytes // max(1, len(self._partitions))
        ours = self._consumer.assignment()
        for partition in self._partitions:
            if partition.tp not in ours:
                continue
            if not partition.paused and partition.n_bytes > share:
                self._consumer.pause(partition.tp)
                partition.paused = True
            elif partition.paused and partition.n_bytes <= share // 2:
                self._consumer.resume(partition.tp)
                partition.paused = False

    def _measure(self) -> None:
        self._metrics.buffered.set(self._partitions.n_bytes)
        if time.monotonic() < self._next_lag:
            return
        self._next_lag = time.monotonic() + _LAG_EVERY_S
        self._metrics.paused.set(sum(partition.paused for partition in self._partitions))
        self._tell_lags()

    def _tell_lags(self) -> None:
        ours, told = self._consumer.assignment(), set()
        for partition in self._partitions:
            end = self._consumer.last_stable_offset(partition.tp) if partition.tp in ours else None
            if end is not None:
                labels = partition.tp.topic, str(partition.tp.partition)
                self._metrics.lag.labels(*labels).set(max(0, end - partition.committed))
                told.add(labels)
        # Of a partition that is somebody else's now we know nothing. The others stay: another thread reads them.
        (family,) = self._metrics.lag.collect()
        for known in {tuple(sample.labels.values()) for sample in family.samples} - told:
            self._metrics.lag.remove(*known)
