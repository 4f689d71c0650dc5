"""The Faust agent on the jobs: one job at a time, from its message to what came of it in one transaction."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.app import group_of
from agents.control.decision import Garbage, live_digests, still_dead
from agents.control.garbage import Blobs, delete_garbage
from agents.hanging_up import hang_up_producer
from agents.leaving import leave
from agents.registry import Registry, RegistryFollower, encode_record
from agents.settings import Settings
from agents.trainer.child import COMMAND, Ended, Report, Succeeded
from agents.trainer.forgotten import LOOK_S, ForgottenJobs
from agents.trainer.outcome import (
    Outcome,
    amended,
    closed,
    ended,
    is_cancelled,
    progress_event,
    started,
)
from agents.trainer.retrying import retried, trained
from agents.trainer.work import Cancelled, Workshop
from agents.writer import Entry, Writer, event_entry, producer_options
from schemas.base import now
from schemas.errors import Fenced, LexstreamError
from schemas.records import JobRecord

logger = logging.getLogger(__name__)

_TRANSACTION_S: Final = 10.0
_PROGRESS_S: Final = 0.5


class Store(Blobs, Protocol):
    """What of the model store is used."""

    def delete_checkpoints(self, job_id: str) -> None:
        """Delete all checkpoints of a job."""


class Trainer:
    """Takes jobs, one at a time, and writes what became of them.

    The message of a job is consumed in the transaction that writes its end, under a transactional id of the message's
    partition. So a job whose trainer dies comes to another, and a frozen trainer's model is never seen.
    """

    def __init__(
        self,
        settings: Settings,
        registry: RegistryFollower,
        store: Store,
        *,
        name: str,
        command: Sequence[str] = COMMAND,
        look_s: float = LOOK_S,
        leave: Callable[[BaseException], None] = leave,
    ) -> None:
        """Make a trainer.

        Args:
            settings: Topics, group and how to reach Kafka.
            registry: Follows the registry, on the same event loop.
            store: The model store.
            name: Of this trainer, for records and people.
            command: Starts a training; the folder of the job comes last.
            look_s: How often to look for jobs that were forgotten.
            leave: Ends the process when something happens that must not.
        """
        self._settings = settings
        self._registry = registry
        self._store = store
        self._name = name
        self._leave = leave
        self._workshop = Workshop(settings, registry, command=command)
        self._events = AIOKafkaProducer(**producer_options(settings))
        self._assigned: set[int] = set()
        self._current: tuple[int, asyncio.Event] | None = None
        self._forgotten = ForgottenJobs(
            self._events, registry, topic=settings.topics.jobs, ours=self._ours_when_idle, look_s=look_s, leave=leave
        )

    def register(self, app: Any) -> None:
        """Make the app's agent on the jobs."""
        # The offsets are committed by our transactions, so Faust must not.
        topic = app.topic(self._settings.topics.jobs, key_serializer="raw", value_serializer="raw", acks=False)

        async def trainer(stream: Any) -> None:
            async for event in stream.noack().events():
                message = event.message
                await self.handle(
                    message.value, partition=TopicPartition(message.topic, message.partition), offset=message.offset
                )

        app.agent(topic, name=f"{self._settings.group}.trainer")(trainer)
        app.on_partitions_assigned.connect(self.on_assigned)

    async def start(self) -> None:
        """Connect."""
        await self._events.start()
        await self._forgotten.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._forgotten.stop()
        await hang_up_producer(self._events)

    async def handle(self, value: bytes | None, *, partition: TopicPartition, offset: int) -> None:
        """Do the job that a message names to its end, and consume the message with it.

        Args:
            value: The message's bytes: a job's id.
            partition: Of the jobs topic.
            offset: The message's.
        """
        writer = Writer(
            self._settings,
            f"{self._settings.group}-jobs-{partition.partition}",
            group=group_of(self._settings, "trainer"),
            timeout_s=_TRANSACTION_S,
        )
        lost = asyncio.Event()
        self._current = partition.partition, lost
        try:
            await self._do((value or b"").decode("utf-8", "replace"), writer, (partition, offset + 1), lost=lost)
        except Exception as error:
            if not (isinstance(error, Fenced) and lost.is_set()):
                self._leave(error)
                return
            words = "the job at offset %d of partition %d went to another trainer"
            logger.info(words, offset, partition.partition, extra={"action": "job_lost"})
        finally:
            self._current = None
            await writer.stop()

    async def _do(
        self, job_id: str, writer: Writer, offset: tuple[TopicPartition, int], *, lost: asyncio.Event
    ) -> None:
        began_s = time.monotonic()
        job = await retried(lambda: self._begin(job_id, writer, offset), lost)
        if job is None:
            return
        logger.info("job %s of project %s begins", job.id, job.project, extra={"action": "job", "job_id": job.id})
        how = await trained(lambda: self._workshop.train(job, self._relay(job), lost=lost), lost)
        duration_s = time.monotonic() - began_s
        outcome = await retried(lambda: self._end(job, how, writer, offset, duration_s=duration_s), lost)
        await asyncio.to_thread(self._delete_checkpoints, job.id)
        # What was written is not decided again when this fails.
        registry = await retried(lambda: self._look_again(outcome, writer, lost=lost), asyncio.Event())
        await asyncio.to_thread(delete_garbage, self._store, _garbage(outcome, how, registry))
        events = ", ".join(event.event for event in outcome.events) or "nothing to write"
        logger.info("job %s ended: %s", job.id, events, extra={"action": "job_end", "job_id": job.id})

    async def _begin(self, job_id: str, writer: Writer, offset: tuple[TopicPartition, int]) -> JobRecord | None:
        """Take the job, and return it if it is to be done."""
        await writer.take_over()
        registry = await self._registry.catch_up()
        job = registry.job(job_id)
        if job is None or job.status.ended:
            await writer.commit([], offset=offset)
            return None
        if is_cancelled(registry, job_id):
            await self._write(writer, closed(registry, job, at=now()), offset=offset)
            return None
        await self._write(writer, started(job, trainer=self._name, at=now()))
        await self._registry.catch_up()
        return job

    async def _end(
        self,
        job: JobRecord,
        how: Ended | Cancelled,
        writer: Writer,
        offset: tuple[TopicPartition, int],
        *,
        duration_s: float,
    ) -> Outcome:
        """Write how the job ended, unless its project is gone."""
        await writer.take_over()
        registry = await self._registry.catch_up()
        present = registry.job(job.id)
        outcome = Outcome({}, [])
        if present is not None and not present.status.ended:
            if isinstance(how, Cancelled) or is_cancelled(registry, job.id):
                outcome = closed(registry, present, at=now())
            else:
                outcome = ended(registry, present, how, at=now(), duration_s=duration_s)
        await self._write(writer, outcome, offset=offset)
        return outcome

    async def _look_again(self, outcome: Outcome, writer: Writer, *, lost: asyncio.Event) -> Registry:
        """Return the registry behind the end of a job, when what a controller undid was written again."""
        registry = await self._registry.catch_up()
        changes = amended(registry, outcome)
        if changes and not lost.is_set():  # else the id is another trainer's by now
            await writer.take_over()
            await self._write(writer, Outcome(changes, []))
        return registry.after(changes)

    async def _write(
        self, writer: Writer, outcome: Outcome, *, offset: tuple[TopicPartition, int] | None = None
    ) -> None:
        entries = [event_entry(self._settings, event) for event in outcome.events]
        entries += [
            Entry(self._settings.topics.registry, key.encode(), None if record is None else encode_record(record))
            for key, record in outcome.changes.items()
        ]
        await writer.commit(entries, offset=offset)

    def _delete_checkpoints(self, job_id: str) -> None:
        try:
            self._store.delete_checkpoints(job_id)
        except LexstreamError as error:
            logger.warning("checkpoints of job %s stay: %s", job_id, error, extra={"action": "garbage"})

    def _relay(self, job: JobRecord) -> Callable[[Report], Awaitable[None]]:
        last: dict[str, Any] = {"stage": None, "at": 0.0}

        async def relay(report: Report) -> None:
            moment = time.monotonic()
            if report.get("stage") == last["stage"] and moment - last["at"] < _PROGRESS_S:
                return
            last.update(stage=report.get("stage"), at=moment)
            await self._tell([event_entry(self._settings, progress_event(job, dict(report)))])

        return relay

    def _ours_when_idle(self) -> Set[int]:
        return frozenset() if self._current else self._assigned

    async def _tell(self, entries: Iterable[Entry]) -> None:
        """Send what may get lost: the training does not wait for Kafka."""
        for entry in entries:
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(self._events.send(entry.topic, entry.value, key=entry.key), 1)

    def on_assigned(self, _app: Any, assigned: Iterable[TopicPartition], **_: Any) -> None:
        """Take note of the partitions that are ours now; a job of another one is no longer ours to do."""
        self._assigned = {tp.partition for tp in assigned if tp.topic == self._settings.topics.jobs}
        extra = {"action": "assigned", "partitions": sorted(self._assigned)}
        logger.info("takes jobs of %d partitions", len(self._assigned), extra=extra)
        if self._current and self._current[0] not in self._assigned:
            self._current[1].set()


def _garbage(outcome: Outcome, how: Ended | Cancelled, registry: Registry) -> Garbage:
    """Return what of the store nothing names any more: what was replaced, and what a training made for nobody."""
    models, blobs = list(outcome.garbage.models), list(outcome.garbage.blobs)
    if isinstance(how, Succeeded):
        model, evaluation = how.report["digest"], how.report["evaluation"]
        models.append(model)
        blobs += [evaluation] if model not in live_digests(registry) else []
    return still_dead(Garbage(tuple(models), tuple(blobs)), registry)
