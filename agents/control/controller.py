"""The controller: takes commands in order, decides, and writes all their effects in one transaction."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.app import group_of
from agents.control.decide import decide
from agents.control.decision import Decision, Garbage, garbage_of, rejected, still_dead
from agents.control.expiry import expired
from agents.control.gaps import Gaps
from agents.control.garbage import Blobs, delete_garbage
from agents.control.imports import read_import
from agents.control.projects import Import
from agents.control.reading import Invalid, read_command
from agents.control.slow import TRANSACTION_S, SlowCommands, told_if_slow
from agents.hanging_up import hang_up_producer, started
from agents.labels import label_entry, label_tombstone, read_label_ids
from agents.leaving import leave
from agents.registry import Registry, encode_record, watch
from agents.settings import Settings
from agents.topics import create_routes
from agents.writer import Entry, Writer, event_entry, producer_options
from schemas.base import now
from schemas.commands import Command, ImportLabelsCommand
from schemas.errors import Fenced, InvalidInput, Unavailable
from schemas.records import JobRecord, JobStatus

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_SEND_S: Final = 10.0
"""How long Kafka may take for the message of a job, before we ask whether the command is still ours."""
_READ_S: Final = 10.0
"""How long the registry may be hidden by somebody's open transaction, before we take our id over again."""
_SKIPPED_S: Final = 5.0
"""How often to look for commands that nobody handles; one of which Faust lost sight waits up to twice as long."""


class Current(Protocol):
    """What of the registry's follower is used."""

    async def catch_up(self) -> Registry:
        """Return a state that holds all that was committed before."""


class Controller:
    """Handles the commands of the control topic.

    Commands may come more than once and two controllers may be at it at the same time: each command is decided after
    our transactional id was taken over, on a registry that was read after that, and noted there as ``command/<id>``.
    So a stale controller cannot write, and what was done is not done again.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Current,
        store: Blobs,
        *,
        leave: Callable[[BaseException], None] = leave,
        look_s: float = _SKIPPED_S,
    ) -> None:
        """Make a controller.

        Args:
            settings: Topics, group and how to reach Kafka.
            registry: Follows the registry, on the same event loop.
            store: The model store.
            leave: Ends the process when something happens that must not.
            look_s: How often to look for commands that were skipped.
        """
        self._settings = settings
        self._registry = registry
        self._store = store
        self._leave = leave
        self._writer = Writer(
            settings,
            f"{settings.group}-controller",
            group=group_of(settings, "worker"),
            timeout_s=TRANSACTION_S,
        )
        self._jobs: AIOKafkaProducer | None = None
        self._gaps = Gaps(settings)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._slow = SlowCommands()
        self._handling = asyncio.Lock()
        self._look_s = look_s
        self._assigned_anew = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, app: Any) -> None:
        """Make the app's agent on the control topic."""
        # The offsets are committed by our transactions, so Faust must not.
        topic = app.topic(self._settings.topics.control, key_serializer="raw", value_serializer="raw", acks=False)

        async def controller(stream: Any) -> None:
            async for event in stream.noack().events():
                message = event.message
                await self.handle(message.value, TopicPartition(message.topic, message.partition), message.offset)

        app.agent(topic, name=f"{self._settings.group}.controller")(controller)
        app.on_partitions_assigned.connect(self.on_assigned)
        app.on_partitions_revoked.connect(self.on_revoked)

    def on_assigned(self, _app: Any, assigned: Iterable[TopicPartition], **_: Any) -> None:
        """Take note of the partitions that are ours now, and take over from whoever had them."""
        # Faust has a type of its own for partitions, at which aiokafka's consumers stop.
        self._assigned = frozenset(TopicPartition(*tp) for tp in assigned if tp[0] == self._settings.topics.control)
        self._assigned_anew.set()
        logger.info("got %d partitions of commands", len(self._assigned), extra={"action": "controller_assigned"})

    def on_revoked(self, _app: Any, _revoked: Iterable[TopicPartition], **_: Any) -> None:
        """Take note that nothing is ours until partitions are assigned anew: others may be at it already."""
        self._assigned = frozenset()

    async def start(self) -> None:
        """Begin to take over with each assignment, and to look for commands that were skipped."""
        looking = self._gaps.look(self._idle, self.handle, every_s=self._look_s)
        self._tasks = {
            asyncio.create_task(self._take_over(), name="controller-takes-over"),
            asyncio.create_task(looking, name="skipped-commands"),
        }
        for task in self._tasks:
            watch(task, self._leave)

    async def stop(self) -> None:
        """Let go of the producers, after Faust was stopped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._let_go()

    async def handle(self, value: bytes | None, partition: TopicPartition, offset: int) -> None:
        """Do one command to its end, and commit its offset.

        Tries again for as long as Kafka or the store is away and the partition is ours. A command of which we let go
        is done by whoever has its partition then, at the latest with a look for what was skipped.

        Args:
            value: The message's bytes.
            partition: Of the control topic.
            offset: The message's.
        """
        async with self._handling:
            with told_if_slow(offset):
                await self._handle(value, partition, offset)

    async def _take_over(self) -> None:
        """End what a controller that died has left open, whenever partitions were assigned to us.

        Until then its group's offset is not stable, so this process could not even begin to read, and nobody who reads
        committed would see what comes after it in the registry. Another assignment interrupts nothing: a client whose
        start or stop is cancelled leaves its connections open.
        """
        while True:
            await self._assigned_anew.wait()
            pause_s = _FIRST_PAUSE_S
            while not await self._took_over():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._assigned_anew.wait(), pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _took_over(self) -> bool:
        """Return whether what is assigned to us, if anything is, is ours alone now."""
        try:
            async with self._handling:
                self._assigned_anew.clear()
                if self._assigned:
                    # If somebody had the partition meanwhile, our producer is fenced, but learns that only by writing.
                    await self._writer.stop()
                if self._assigned:  # still: to stop may take a moment
                    await self._writer.take_over()
        except Unavailable as error:
            logger.warning("cannot take over yet: %s", error, extra={"action": "controller_retry"})
            return False
        return True

    def _idle(self) -> Iterable[TopicPartition]:
        return () if self._handling.locked() else self._assigned

    async def _handle(self, value: bytes | None, partition: TopicPartition, offset: int) -> None:
        pause_s = _FIRST_PAUSE_S
        while partition in self._assigned:  # to take over otherwise would fence whoever has it
            try:
                await self._writer.take_over()
                async for place, command in self._gaps.up_to(partition, offset, value):
                    await self._handle_once(command, (partition, place + 1))
            except (Fenced, KafkaError, OSError, Unavailable) as error:
                logger.warning("command at offset %d waits: %s", offset, error, extra={"action": "controller_retry"})
            except Exception as error:
                self._leave(error)
                return
            else:
                return
            self._gaps.forget()
            await self._let_go()  # to take over again is to end what we left open, whatever failed after it
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        words = "command at offset %d is left to whoever has its partition now"
        logger.warning(words, offset, extra={"action": "controller_left"})

    async def _let_go(self) -> None:
        await self._writer.stop()
        producer, self._jobs = self._jobs, None
        if producer:
            await hang_up_producer(producer)

    async def _consume(self, entries: Iterable[Entry], offset: tuple[TopicPartition, int]) -> None:
        await self._writer.commit(entries, offset=offset)
        self._gaps.consumed(*offset)

    async def _handle_once(self, value: bytes | None, offset: tuple[TopicPartition, int]) -> None:
        command = read_command(value)
        registry = await self._present()
        if isinstance(command, Invalid):
            logger.info("command rejected: it cannot be read", extra={"action": "command_rejected"})
            await self._consume([event_entry(self._settings, command.event)], offset)
        elif done := registry.command(command.id):
            again = registry.job(command.id)
            jobs = [again] if again and again.status is JobStatus.NOT_STARTED else []
            await self._finish(jobs, still_dead(garbage_of(done), registry), offset)
        else:
            await self._do(command, registry, offset)

    async def _present(self) -> Registry:
        """Return the registry as it is, unless a transaction that is open hides that for long: it may be one of our id.

        Raises:
            Unavailable: In that case. To take over again would end it.
        """
        try:
            async with asyncio.timeout(_READ_S):
                return await self._registry.catch_up()
        except TimeoutError as error:
            raise Unavailable(f"the registry could not be read to its end within {_READ_S:.0f} s") from error

    async def _do(self, command: Command, registry: Registry, offset: tuple[TopicPartition, int]) -> None:
        decision = await self._decided(command, registry)
        decision = replace(decision, changes={**expired(registry, at=now()), **decision.changes})
        removed = list(decision.labels.removed)
        if decision.labels.everything:
            removed = await read_label_ids(self._settings, command.project)
        entries = _entries(self._settings, command.project, decision, removed)
        has_more = bool(decision.jobs or decision.garbage.models or decision.garbage.blobs)
        with self._slow.counted(command.id):
            if has_more:
                await self._writer.commit(entries)
            else:
                await self._consume(entries, offset)
        logger.info(
            "%s of project %s: %s",
            command.command,
            command.project,
            decision.events[-1].event,
            extra={"action": "command", "command_id": command.id, "project": command.project},
        )
        if has_more:
            # Anybody may name anything as a bundle, even a blob that is in use.
            garbage = still_dead(decision.garbage, registry.after(decision.changes))
            await self._finish(decision.jobs, garbage, offset)

    async def _decided(self, command: Command, registry: Registry) -> Decision:
        if why := self._slow.why_rejected(command.id):
            return rejected(command, [why], at=now())
        imported = None
        if isinstance(command, ImportLabelsCommand):
            imported = await self._imported(command, registry)
        decision = decide(registry, command, at=now(), imported=imported)
        if decision.routes:
            try:
                await create_routes(self._settings, list(decision.routes))
            except InvalidInput as error:
                return rejected(command, error.problems, at=now())
        return decision

    async def _imported(self, command: ImportLabelsCommand, registry: Registry) -> Import | None:
        project = registry.project(command.project)
        if project is None:
            return None
        ids = await read_label_ids(self._settings, command.project)
        return await asyncio.to_thread(
            read_import, self._store, command, project, ids, largest_bytes=self._settings.max_message_bytes
        )

    async def _finish(self, jobs: Sequence[JobRecord], garbage: Garbage, offset: tuple[TopicPartition, int]) -> None:
        """Do what cannot be part of a transaction; until it is done the command is not consumed."""
        for job in jobs:
            await self._send(job)
        await asyncio.to_thread(delete_garbage, self._store, garbage)
        await self._consume([], offset)

    async def _send(self, job: JobRecord) -> None:
        # Outside the transaction: Faust reads uncommitted, and a trainer must not see a job before its record.
        try:
            async with asyncio.timeout(_SEND_S):
                if self._jobs is None:
                    self._jobs = await started(AIOKafkaProducer(**producer_options(self._settings)))
                await self._jobs.send_and_wait(self._settings.topics.jobs, job.id.encode(), key=job.project.encode())
        except TimeoutError as error:
            raise Unavailable(f"Kafka did not take job {job.id} within {_SEND_S:.0f} s") from error


def _entries(settings: Settings, project: str, decision: Decision, removed: list[str]) -> Iterator[Entry]:
    # The registry comes last: its readers wait for an open transaction, and labels may take a while.
    for document_id in removed:
        yield label_tombstone(settings, project, document_id)
    for document in decision.labels.documents:
        yield label_entry(settings, document)
    for event in decision.events:
        yield event_entry(settings, event)
    for key, record in decision.changes.items():
        yield Entry(settings.topics.registry, key.encode(), None if record is None else encode_record(record))
