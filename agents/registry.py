"""The registry: what projects, models, deployments, jobs and routes there are, as the compacted topic says."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from pydantic import ValidationError

from agents.batches import why_unreadable
from agents.hanging_up import hang_up
from agents.high_watermark import HighWatermark
from agents.kafka import client_options
from agents.settings import Settings
from schemas.codecs.validation import explain
from schemas.errors import DecodeError, EventError
from schemas.records import (
    RECORD_TYPES,
    CommandRecord,
    DeploymentRecord,
    JobRecord,
    ModelRecord,
    ProjectRecord,
    Record,
    RouteRecord,
)

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks for a topic that is missing."""
_NAME_CHARS = 100
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Registry:
    """The state at one moment; never changes, so any thread may read it."""

    records: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))

    def _get(self, key: str, kind: type[R]) -> R | None:
        record = self.records.get(key)
        return record if isinstance(record, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Return every record of one kind, in the order of the keys."""
        return [record for _, record in sorted(self.records.items()) if isinstance(record, kind)]

    def project(self, name: str) -> ProjectRecord | None:
        """Return a project."""
        return self._get(f"project/{name}", ProjectRecord)

    def model(self, project: str, label: str) -> ModelRecord | None:
        """Return a project's model."""
        return self._get(f"model/{project}/{label}", ModelRecord)

    def deployment(self, project: str, name: str) -> DeploymentRecord | None:
        """Return a project's deployment."""
        return self._get(f"deployment/{project}/{name}", DeploymentRecord)

    def job(self, job_id: str) -> JobRecord | None:
        """Return a job."""
        return self._get(f"job/{job_id}", JobRecord)

    def command(self, command_id: str) -> CommandRecord | None:
        """Return what became of a command."""
        return self._get(f"command/{command_id}", CommandRecord)

    def route(self, project: str, name: str) -> RouteRecord | None:
        """Return a project's route."""
        return self._get(f"route/{project}/{name}", RouteRecord)

    def of_project(self, project: str, kind: type[R]) -> list[R]:
        """Return a project's records of one kind."""
        return [record for record in self.all(kind) if getattr(record, "project", None) == project]

    def after(self, changes: Mapping[str, Record | None]) -> "Registry":
        """Return the state after ``changes``; ``None`` takes a record away."""
        records = {**self.records, **{key: record for key, record in changes.items() if record is not None}}
        for key in [key for key, record in changes.items() if record is None]:
            records.pop(key, None)
        return replace(self, records=MappingProxyType(records))


def watch(task: "asyncio.Task[Any]", failed: Callable[[BaseException], None]) -> None:
    """Tell ``failed`` what ends a task that goes on in the background; to be cancelled is no failure."""

    def ended(done: "asyncio.Task[Any]") -> None:
        if not done.cancelled() and (error := done.exception()):
            failed(error)

    task.add_done_callback(ended)


def decode_record(key: bytes, value: bytes | None) -> tuple[str, Record | None] | None:
    """Read one message of the registry topic; return ``None`` for one that is not ours to understand.

    Raises:
        DecodeError: If it is ours and cannot be read; the message is safe to print.
    """
    name = key.decode("utf-8", "replace")
    kind = RECORD_TYPES.get(name.partition("/")[0])
    if kind is None:
        return None
    try:
        return name, None if value is None else kind.model_validate(orjson.loads(value))
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"record {name[:_NAME_CHARS]!a} is no JSON") from error
    except ValidationError as error:
        raise DecodeError(f"record {name[:_NAME_CHARS]!a}: {explain(error)}") from error


def _changes(messages: Sequence[Any]) -> dict[str, Record | None]:
    """Return what messages change. What cannot be read is left out, and told.

    On the terminal of a command, too, which shows only what is critical: the state may lack something.
    """
    changes: dict[str, Record | None] = {}
    problems: list[tuple[int, EventError]] = []
    for message in messages:
        try:
            if why := why_unreadable(message):
                raise why
            changes |= dict(filter(None, [decode_record(message.key or b"", message.value)]))
        except EventError as error:
            problems.append((message.offset, error))
    if problems:
        words = "the registry may lack something: %d records cannot be read, the first at offset %d: %s"
        logger.critical(words, len(problems), *problems[0], extra={"action": "registry_unreadable"})
    return changes


def encode_record(record: Record) -> bytes:
    """Return the bytes of a record for the registry topic."""
    return orjson.dumps(record.payload())


class RegistryFollower:
    """Follows the registry topic without a group, from the beginning, and holds its state.

    ``state`` may be read from any thread; everything else belongs to the event loop that ``start`` ran on.

    Args:
        settings: The settings.
        failed: Told what ended the following when nobody asked it to end; ``catch_up`` raises it in any case.
    """

    def __init__(self, settings: Settings, *, failed: Callable[[BaseException], None] | None = None) -> None:
        self.state = Registry()
        self._failed = failed
        self._settings = settings
        self._partition = TopicPartition(settings.topics.registry, 0)
        self._changed = asyncio.Condition()
        self._listeners: list[Callable[[Registry], None]] = []
        self._high_watermark = HighWatermark(settings, self._partition)
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._assigned = asyncio.Event()
        self._next = 0

    async def __aenter__(self) -> "RegistryFollower":
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def on_change(self, listener: Callable[[Registry], None]) -> None:
        """Call ``listener`` with every new state, on the follower's loop."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Start following, and return when all that can be read now has been. Waits for a topic that is missing."""
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await self._consumer.start()
        await self._assign(self._consumer)
        self._task = asyncio.create_task(self._follow(self._consumer), name="registry")
        if self._failed:
            watch(self._task, self._failed)
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets([self._partition])
        await self._read_up_to(ends[self._partition], self._consumer, self._task)

    async def stop(self) -> None:
        """Stop following."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._high_watermark.close()
        finally:
            if self._consumer:
                await hang_up(self._consumer)

    async def catch_up(self) -> Registry:
        """Return a state that holds all that was committed before this call.

        Waits without bound while the topic is missing, and, once Kafka told where it ends, until it was read that far:
        if somebody died and left a transaction open, until Kafka has ended that. What was committed behind it cannot be
        read before, and whoever decides without it does again what was done.

        Raises:
            KafkaError: If Kafka does not tell where the topic ends; and whatever ended the following, of any kind.
            RuntimeError: Before ``start``.
        """
        if self._consumer is None or self._task is None:
            raise RuntimeError("start() first")
        await self._assigned.wait()
        await self._read_up_to(await self._high_watermark.ask(), self._consumer, self._task)
        return self.state

    async def wait_for(self, condition: Callable[[Registry], bool]) -> Registry:
        """Return the first state that meets ``condition``."""
        async with self._changed:
            await self._changed.wait_for(lambda: condition(self.state))
        return self.state

    async def _read_up_to(self, end: int, consumer: AIOKafkaConsumer, following: "asyncio.Task[None]") -> None:
        async with self._changed:
            while await consumer.position(self._partition) < end:
                if following.done():
                    following.result()
                # NOTE: not wait_for: cancelled while its own task waits for the lock, it comes back without the lock.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):  # a transaction's marker moves only the position
                        await self._changed.wait()

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        """Begin where we are, once the topic is there.

        A client that is assigned a topic that is missing asks for it hundreds of times a second, and logs each time.
        One that was missing for a moment must not be read again from its beginning: old records would come as news.
        """
        self._assigned.clear()
        consumer.unsubscribe()
        await self._wait_for_topic(consumer)
        consumer.assign([self._partition])
        if self._next:
            consumer.seek(self._partition, self._next)
        else:
            await consumer.seek_to_beginning(self._partition)
        self._assigned.set()

    async def _wait_for_topic(self, consumer: AIOKafkaConsumer) -> None:
        name, said = self._partition.topic, False
        while not await self._is_there(consumer):
            if not said:
                logger.warning("the topic %s does not exist; waiting for it: `lexstream topics create` makes it", name)
                said = True
            await asyncio.sleep(LOOK_S)

    async def _is_there(self, consumer: AIOKafkaConsumer) -> bool:
        try:
            return self._partition.topic in await consumer.topics()
        except KafkaError as error:
            logger.warning("cannot look for the registry: %s; trying again", error)
            return False

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                batches: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=200)
            except TopicAuthorizationFailedError:
                raise  # to wait would not help
            except KafkaError as error:
                logger.warning("cannot read the registry: %s; trying again", error)
                await asyncio.sleep(0.5)
                continue
            messages = batches.get(self._partition, [])
            if not messages and consumer.partitions_for_topic(self._partition.topic) is None:
                await self._assign(consumer)
                continue
            if changes := _changes(messages):
                self.state = self.state.after(changes)
                for listener in self._listeners:
                    listener(self.state)
            if messages:
                self._next = messages[-1].offset + 1
                async with self._changed:
                    self._changed.notify_all()
