"""The Faust agent on the jobs: one job at a time, from its message to what came of it in one transaction."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from agents.app import group_of
from agents.control.decision import Garbage, live_digests, still_dead
from agents.control.garbage import Blobs, delete_garbage
from agents.hanging_up import hang_up_producer
from agents.leaving import leave
from agents.registry import Registry, RegistryFollower, encode_record, watch
from agents.settings import Settings
from agents.trainer.child import COMMAND, Ended, Failed, Report, Succeeded
from agents.trainer.outcome import (
    Outcome,
    amended,
    closed,
    ended,
    forgotten,
    is_cancelled,
    progress_event,
    started,
)
from agents.trainer.work import Cancelled, Workshop
from agents.writer import Entry, Writer, event_entry, producer_options
from schemas.base import now
from schemas.errors import Fenced, LexstreamError, NoSpace, Unavailable
from schemas.records import JobRecord

logger = logging.getLogger(__name__)

T = TypeVar("T")
_TRANSACTION_S: Final = 10.0
_PROGRESS_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
_LOOK_S: Final = 30.0
_SEND_S: Final = 10.0
_FORGOTTEN_S: Final = 60.0
_MOST_OS_ERRORS: Final = 10
"""Half a minute of them: a full disk does not empty itself."""
_MOST_FULL: Final = 3
FULL_PAUSE_S = 10.0
"""Between trainings that found a disk full."""


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
        look_s: float = _LOOK_S,
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
        self._look_s = look_s
        self._leave = leave
        self._workshop = Workshop(settings, registry, command=command)
        self._events = AIOKafkaProducer(**producer_options(settings))
        self._assigned: set[int] = set()
        self._current: tuple[int, asyncio.Event] | None = None
        self._looking: asyncio.Task[None] | None = None

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
        self._looking = asyncio.create_task(self._look_for_forgotten(), name="forgotten-jobs")
        watch(self._looking, self._leave)

    async def stop(self) -> None:
        """Disconnect."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait({self._looking})
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
        job = await _persist(lambda: self._begin(job_id, writer, offset), lost)
        if job is None:
            return
        logger.info("job %s of project %s begins", job.id, job.project, extra={"action": "job", "job_id": job.id})
        how = await _trained(lambda: self._workshop.train(job, self._relay(job), lost=lost), lost)
        duration_s = time.monotonic() - began_s
        outcome = await _persist(lambda: self._end(job, how, writer, offset, duration_s=duration_s), lost)
        await asyncio.to_thread(self._delete_checkpoints, job.id)
        # What was written is not decided again when this fails.
        registry = await _persist(lambda: self._look_again(outcome, writer, lost=lost), asyncio.Event())
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

    async def _look_for_forgotten(self) -> None:
        """Send the message of a job again that nobody works on: Faust may skip one in a rebalance."""
        topic = self._settings.topics.jobs
        partition_of = DefaultPartitioner()
        while True:
            await asyncio.sleep(self._look_s)
            if self._current:
                continue
            with contextlib.suppress(KafkaError, TimeoutError):
                numbers = sorted(await self._events.partitions_for(topic))
                for job in forgotten(self._registry.state, at=now(), after_s=_FORGOTTEN_S):
                    key = job.project.encode()
                    if partition_of(key, numbers, numbers) in self._assigned:
                        logger.warning("job %s was forgotten: sent again", job.id, extra={"action": "job_forgotten"})
                        async with asyncio.timeout(_SEND_S):
                            await self._events.send_and_wait(topic, job.id.encode(), key=key)


def _garbage(outcome: Outcome, how: Ended | Cancelled, registry: Registry) -> Garbage:
    """Return what of the store nothing names any more: what was replaced, and what a training made for nobody."""
    models, blobs = list(outcome.garbage.models), list(outcome.garbage.blobs)
    if isinstance(how, Succeeded):
        model, evaluation = how.report["digest"], how.report["evaluation"]
        models.append(model)
        blobs += [evaluation] if model not in live_digests(registry) else []
    return still_dead(Garbage(tuple(models), tuple(blobs)), registry)


async def _trained(train: Callable[[], Awaitable[Ended | Cancelled]], lost: asyncio.Event) -> Ended | Cancelled:
    """Return how a training ended; one that this machine has no room for has failed.

    Raises:
        Fenced: If another trainer has the job.
    """
    try:
        return await _persist(train, lost, most_os_errors=_MOST_OS_ERRORS)
    except NoSpace as error:
        return Failed([f"{error}; then train again"])
    except OSError as error:
        return Failed([f"the trainer could not prepare or start it: {error.strerror or type(error).__name__}"])


async def _persist(work: Callable[[], Awaitable[T]], lost: asyncio.Event, *, most_os_errors: int | None = None) -> T:
    """Return what ``work`` gives, trying again for as long as Kafka or the store is away and the job is ours.

    Raises:
        Fenced: If ``lost`` is set: to try again would take the job from whoever has it now.
        OSError: If the machine itself refused as often as ``most_os_errors``.
        NoSpace: If a training found a disk full so often; each time it may have taken minutes to find out.
    """
    pause_s, left, left_full = 0.1, most_os_errors, _MOST_FULL
    while not lost.is_set():
        try:
            return await work()
        except NoSpace as error:
            left_full -= 1
            if left_full == 0:
                raise
            pause_s = FULL_PAUSE_S
            logger.warning("the job waits: %s", str(error) or repr(error), extra={"action": "trainer_retry"})
        except (KafkaError, ConnectionError, TimeoutError, Unavailable) as error:
            logger.warning("the job waits: %s", str(error) or repr(error), extra={"action": "trainer_retry"})
        except OSError as error:
            left = None if left is None else left - 1
            if left == 0:
                raise
            logger.warning("the job waits: %s", str(error) or repr(error), extra={"action": "trainer_retry"})
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    raise Fenced("another trainer has the partition of the job")
