"""Commits what a window found: one transaction a partition, in the order of the windows."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka.errors import KafkaError

from agents.hotloop.answers import Answering, Asked, Outcome
from agents.hotloop.dead_letter_limit import DeadLetterLimit
from agents.hotloop.limits import Limits
from agents.hotloop.ownership import Ownership
from agents.hotloop.partitions import Partition, Share
from agents.hotloop.status import LoopStatus
from agents.hotloop.transactions import TooLarge, commit
from agents.metrics import Metrics
from agents.routing import Routes

logger = logging.getLogger(__name__)


class Committer:
    """Takes a window's answers to the output topics.

    Args:
        group: The consumer group.
        answering: Makes the messages, by input topic.
        ownership: What to tell of aborted transactions.
        patience_s: How long a transaction may take: less than the broker keeps it open.
        limits: The largest message of each topic.
        dead_letter_limit: Stops us when everything turns bad.
        status: What is told of each commit.
        metrics: What is measured.
        crash: What to do with an error that nobody foresaw.
    """

    def __init__(
        self,
        group: str,
        *,
        answering: Mapping[str, Answering],
        ownership: Ownership,
        patience_s: float,
        limits: Limits,
        dead_letter_limit: DeadLetterLimit,
        status: LoopStatus,
        metrics: Metrics,
        crash: Callable[[BaseException], None],
    ) -> None:
        self._group = group
        self._answering = answering
        self._ownership = ownership
        self._patience_s = patience_s
        self._limits = limits
        self._dead_letter_limit = dead_letter_limit
        self._status = status
        self._metrics = metrics
        self._crash = crash

    def start(self, share: Share, asked: Sequence[Asked], routes: Routes) -> "asyncio.Task[None]":
        """Begin to commit one partition's part of a window."""
        commits = share.partition.commits
        task = asyncio.create_task(self._run(share, asked, routes))
        commits.add(task)
        task.add_done_callback(commits.discard)
        return task

    async def _run(self, share: Share, asked: Sequence[Asked], routes: Routes) -> None:
        try:
            async with share.partition.turn:
                if share.stale:
                    self._metrics.stale.inc(len(asked))
                else:
                    await self._commit(share.partition, asked, routes)
        except Exception as error:
            self._crash(error)
        finally:
            share.partition.in_flight -= len(share.items)

    async def _commit(self, partition: Partition, asked: Iterable[Asked], routes: Routes) -> None:
        started = time.monotonic()
        answering = self._answering[partition.tp.topic]
        outcome = answering.outcome(asked, routes=routes, served=partition.served, now_ms=int(time.time() * 1000))
        n_events = outcome.n_enriched + outcome.dead.total()
        encoded = time.monotonic()
        self._metrics.observe_stage("encode", encoded - started)
        self._status.writes(partition.tp)
        try:
            # NOTE: a client may wait forever for a broker that takes nothing, such as one with too few replicas in
            # sync. Whether the transaction went through is for the committed offset to say, which is read after new
            # producers fenced these.
            with self._dead_letter_limit.counted(n_events, outcome.dead):
                async with asyncio.timeout(self._patience_s):
                    await commit(
                        partition.producers.next(),
                        outcome.messages,
                        offset=(partition.tp, outcome.next_offset),
                        group=self._group,
                        limit=self._limits,
                    )
        except (KafkaError, TimeoutError) as error:
            self._aborted(partition, error)
        else:
            self._metrics.observe_stage("commit", time.monotonic() - encoded)
            self._committed(partition, outcome)

    def _aborted(self, partition: Partition, error: Exception) -> None:
        if isinstance(error, TooLarge):
            batch = error.batch
            self._limits.refused(batch.topic, batch=batch.n_bytes, message=batch.largest)
        self._metrics.aborts.inc()
        logger.warning("gave up a transaction of %s: %r", partition.tp, error, extra={"action": "abort"})
        self._ownership.lost(partition)

    def _committed(self, partition: Partition, outcome: Outcome) -> None:
        partition.committed = outcome.next_offset
        partition.served = outcome.served
        self._ownership.succeeded(partition)
        self._status.written(partition.tp)
        self._status.committed()
        self._count(partition.tp.topic, outcome)

    def _count(self, topic: str, outcome: Outcome) -> None:
        metrics = self._metrics
        metrics.events.labels(topic, "enriched").inc(outcome.n_enriched)
        metrics.switches.inc(outcome.n_switches)
        for reason, count in outcome.dead.items():
            metrics.events.labels(topic, "dead_letter").inc(count)
            metrics.dead_letters.labels(reason).inc(count)
        for ending, count in outcome.replayed.items():
            metrics.replayed.labels(ending).inc(count)
        for code, count in outcome.failures.items():
            metrics.task_failures.labels(code).inc(count)
        for route, count in outcome.routed.items():
            metrics.routed.labels(route).inc(count)
