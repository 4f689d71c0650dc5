"""Partitions come and go. Whoever owns one has initialised its producers before it read the committed offset."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from agents.hotloop.partitions import Partition, Partitions
from agents.hotloop.transactions import Turns
from agents.lanes import Lane
from agents.metrics import Metrics

logger = logging.getLogger(__name__)

COMMITS_S = 3.0
"""How long a rebalance waits for the transactions in flight; with what stopping producers takes, still below the
rebalance timeout."""
BEGIN_S = 30.0
"""How long it may take to begin with a partition before it is tried again with new producers."""
_FIRST_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 5.0


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Takes and gives partitions, as the group's coordinator says.

    Args:
        partitions: The partitions that are ours.
        lanes: The lane of each input topic.
        new_producers: Makes the two producers of a partition, not yet started.
        crash: What to do with an error that nobody foresaw: the client would only log it.
        metrics: What is measured.
    """

    def __init__(
        self,
        partitions: Partitions,
        *,
        lanes: Mapping[str, Lane],
        new_producers: Callable[[TopicPartition], Turns],
        crash: Callable[[BaseException], None],
        metrics: Metrics,
    ) -> None:
        self.consumer: Any = None
        self.assigned: frozenset[TopicPartition] | None = None
        self._partitions = partitions
        self._lanes = lanes
        self._new_producers = new_producers
        self._crash = crash
        self._metrics = metrics
        self._acquiring: dict[TopicPartition, asyncio.Task[None]] = {}
        self._failures: dict[TopicPartition, int] = {}
        self._closed = False

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Give all up; waits for transactions in flight, never for the model."""
        self.assigned = None
        if revoked:
            extra = {"action": "revoked", "partitions": _named(revoked)}
            logger.info("gave up %d partitions", len(revoked), extra=extra)
        try:
            await self.release_all()
        except Exception as error:
            self._crash(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin to acquire what is ours now; heartbeats go on meanwhile. Once closed, nothing is acquired any more."""
        if self._closed:
            return
        self.assigned = frozenset(assigned)
        self._metrics.partitions.set(len(assigned))
        extra = {"action": "assigned", "partitions": _named(assigned)}
        logger.info("got %d partitions", len(assigned), extra=extra)
        for tp in assigned:
            self.acquire(tp, delay_s=0.0)

    def acquire(self, tp: TopicPartition, *, delay_s: float) -> None:
        """Begin to acquire one partition."""
        if tp in self.consumer.assignment():
            self.consumer.pause(tp)
        task = asyncio.create_task(self._acquire(tp, delay_s), name=f"acquire {tp.topic}/{tp.partition}")
        self._acquiring[tp] = task
        task.add_done_callback(self._acquired)

    def lost(self, partition: Partition) -> None:
        """Start again with a partition whose transaction was aborted, after a pause that grows."""
        if self._partitions.get(partition.tp) is not partition:
            return  # revoked meanwhile
        self._partitions.remove(partition.tp)
        self._acquiring[partition.tp] = asyncio.create_task(self._start_again(partition))
        self._acquiring[partition.tp].add_done_callback(self._acquired)

    def succeeded(self, partition: Partition) -> None:
        """Note that a transaction went through."""
        self._failures.pop(partition.tp, None)

    def read_again(self) -> None:
        """Read on behind the last event that was queued, in all partitions, after a poll that failed.

        A poll that fails at one partition may have moved another's position past records that it never handed out.
        """
        ours = self.consumer.assignment()
        for partition in self._partitions:
            if partition.tp in ours:
                self.consumer.seek(partition.tp, partition.next_read)

    def rewind(self, partition: Partition) -> int:
        """Read again from the committed offset; return how many waiting events that drops."""
        partition.epoch = self._partitions.next_epoch()
        if partition.tp in self.consumer.assignment():
            self.consumer.seek(partition.tp, partition.committed)
        partition.next_read = partition.committed
        return partition.drop()

    async def close(self) -> None:
        """Give all partitions up for good, also those that a rebalance is about to assign: who would release them?"""
        self._closed = True
        await self.release_all()

    async def release_all(self) -> None:
        """Give all partitions up."""
        acquiring = list(self._acquiring.values())
        for task in acquiring:
            task.cancel()
        partitions = [removed for each in self._partitions if (removed := self._partitions.remove(each.tp))]
        await asyncio.gather(*acquiring, return_exceptions=True)
        await asyncio.gather(*(self._release(partition) for partition in partitions))
        self._metrics.partitions.set(0)

    async def _release(self, partition: Partition) -> None:
        # The epoch is another one already, so whoever takes the turn after the transaction in flight, now or when
        # the model is done with its window, finds that it is stale. It must be able to: the turn is given back.
        try:
            async with asyncio.timeout(COMMITS_S), partition.turn:
                pass
        except TimeoutError:
            logger.warning("a transaction of %s did not end in time", partition.tp, extra={"action": "revoked"})
            for task in partition.commits:
                task.cancel()
            await asyncio.gather(*partition.commits, return_exceptions=True)
        await partition.producers.stop()

    async def _start_again(self, partition: Partition) -> None:
        tp = partition.tp
        if tp in self.consumer.assignment():
            self.consumer.pause(tp)
        failures = self._failures[tp] = self._failures.get(tp, 0) + 1
        await partition.producers.stop()
        await self._acquire(tp, min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2**failures))

    async def _acquire(self, tp: TopicPartition, delay_s: float) -> None:
        while True:
            await asyncio.sleep(delay_s)
            if tp not in self.consumer.assignment():
                return
            producers = self._new_producers(tp)
            try:
                committed = await self._begin(tp, producers)
            except (KafkaError, OSError) as error:
                await producers.stop()
                delay_s = min(_MAX_BACKOFF_S, max(_FIRST_BACKOFF_S, 2 * delay_s))
                self._metrics.retries.labels("acquire").inc()
                logger.warning(
                    "cannot take over %s/%d: %r; trying again", tp.topic, tp.partition, error, extra={"action": "retry"}
                )
            except BaseException:
                await producers.stop()
                raise
            else:
                lane, epoch = self._lanes[tp.topic], self._partitions.next_epoch()
                self._partitions.add(Partition(tp, lane, producers, epoch, committed, committed))
                self.consumer.resume(tp)
                return

    async def _begin(self, tp: TopicPartition, producers: Turns) -> int:
        """Start the producers, then read the committed offset, then seek: nothing may come between in another order."""
        async with asyncio.timeout(BEGIN_S):
            await producers.start()
            committed: int | None = await self.consumer.committed(tp)
            if committed is None:
                # NOTE: aiokafka's seek_to_beginning never returns for a paused partition that has records buffered.
                committed = (await self.consumer.beginning_offsets([tp]))[tp]
        self.consumer.seek(tp, committed)
        return committed

    def _acquired(self, task: "asyncio.Task[None]") -> None:
        self._acquiring = {tp: other for tp, other in self._acquiring.items() if other is not task}
        if not task.cancelled() and (error := task.exception()):
            self._crash(error)


def _named(partitions: Iterable[TopicPartition]) -> list[str]:
    return [f"{tp.topic}/{tp.partition}" for tp in sorted(partitions)]
