"""What a program outside does with Lexstream: hand in commands and see what becomes of them, publish, read."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.structs import RecordMetadata
from pydantic import ValidationError

from agents.consumer import consuming
from agents.hanging_up import hang_up_producer
from agents.kafka import client_options, wait_for_broker
from agents.patience import Remaining, patience_of
from agents.registry import Registry, RegistryFollower
from agents.settings import Settings
from agents.topic_admin import not_allowed
from schemas.commands import (
    Command,
    DeployCommand,
    EvaluateCommand,
    RollbackCommand,
    SwapDeploymentsCommand,
    TrainCommand,
)
from schemas.control_events import ControlEvent, EventType
from schemas.errors import InvalidInput, TopicMissing, Unavailable

ANSWER_S = 30.0
"""How long a worker may take to accept or reject a command."""
SERVE_S = 180.0
"""How long a worker may take to load a model that was deployed."""
_POLL_MS = 100
_IN_FLIGHT = 1000
_OVERHEAD_BYTES = 64 * 1024

_BAD_ENDS = {EventType.REJECTED, EventType.FAILED, EventType.CANCELLED}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something to be published."""

    value: bytes
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def awaited_deployments(command: Command) -> frozenset[str]:
    """Return the deployments that a worker has to answer for before ``command`` has ended."""
    match command:
        case DeployCommand():
            return frozenset({command.parameters.deployment})
        case RollbackCommand():
            return frozenset({command.parameters.deployment})
        case SwapDeploymentsCommand():
            return frozenset({command.parameters.first, command.parameters.second})
        case _:
            return frozenset()


class Outcome:
    """Tells from a command's events when it has ended, and how long to wait for the next one."""

    def __init__(self, command: Command) -> None:
        self._awaited = set(awaited_deployments(command))
        self._served_by_workers = bool(self._awaited)
        self._done_by_trainers = isinstance(command, TrainCommand | EvaluateCommand)
        self._accepted = False

    def take(self, event: ControlEvent) -> bool:
        """Return whether ``event`` ended the command."""
        self._accepted = True
        if event.event in _BAD_ENDS:
            return True
        if event.event is not EventType.SUCCEEDED:
            return False
        deployment = event.details.get("deployment")
        self._awaited.discard(str(deployment))
        return deployment is None or not self._awaited

    @property
    def patience_s(self) -> float | None:
        """How long to wait for the next event; ``None``: until it comes, since training waits for a free trainer."""
        if not self._accepted:
            return ANSWER_S
        if self._served_by_workers:
            return SERVE_S
        return None if self._done_by_trainers else ANSWER_S

    @property
    def advice(self) -> str:
        """What to look at when nothing came."""
        if not self._accepted:
            return f"no worker took the command within {ANSWER_S:.0f} s; start one with `lexstream worker`"
        if self._served_by_workers:
            names = ", ".join(sorted(self._awaited))
            return f"accepted, but no worker serves {names} after {SERVE_S:.0f} s; is a `lexstream worker` running?"
        return f"accepted, but not finished within {ANSWER_S:.0f} s; see `lexstream events` and the worker's log"


class Client:
    """A connection to Kafka in the role of somebody outside. Use it in ``async with``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        await wait_for_broker(self.settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer:
            await hang_up_producer(self._producer)

    async def command(self, command: Command) -> AsyncIterator[ControlEvent]:
        """Send ``command`` and yield its events until it has ended.

        A deployment has ended when one worker serves it (of a swap: both). Training goes on when the caller leaves.

        Raises:
            Unavailable: If nobody answers for so long that nobody seems to be there.
        """
        topic = self.settings.topics.control_events
        async with self.follow([topic]) as follower:
            message = Outgoing(orjson.dumps(command.payload()), command.project.encode())
            await self.send(self.settings.topics.control, message)
            outcome = Outcome(command)
            last_s = time.monotonic()
            while True:
                for event in _events_of(await follower.poll(), command.id):
                    yield event
                    last_s = time.monotonic()
                    if outcome.take(event):
                        return
                if outcome.patience_s is not None and time.monotonic() - last_s > outcome.patience_s:
                    raise Unavailable(outcome.advice)

    async def registry(self) -> Registry:
        """Return the registry's present state."""
        await self.require_topics([self.settings.topics.registry])
        async with RegistryFollower(self.settings) as follower:
            return follower.state

    async def send(self, topic: str, message: Outgoing) -> RecordMetadata:
        """Send one message and return where it stands when Kafka has it."""
        return await (await self._enqueue(topic, message))

    async def publish(
        self, topic: str, messages: Iterable[Outgoing], *, delivered: Callable[[RecordMetadata], None]
    ) -> None:
        """Send messages in their order, each exactly once, and call ``delivered`` for each that Kafka has.

        Raises:
            KafkaError: If one cannot be delivered.
        """
        waiting: list[asyncio.Future[RecordMetadata]] = []
        for message in messages:
            waiting.append(await self._enqueue(topic, message))
            if len(waiting) >= _IN_FLIGHT:
                await _drain(waiting, delivered)
        await _drain(waiting, delivered)

    @contextlib.asynccontextmanager
    async def follow(self, topics: Iterable[str], *, from_beginning: bool = False) -> AsyncIterator["Follower"]:
        """Read topics without end; nothing is missed that is committed after the block was entered."""
        async with self._reader(topics, from_beginning=from_beginning) as consumer:
            yield Follower(consumer)

    async def snapshot(self, topics: Iterable[str]) -> AsyncIterator[ConsumerRecord]:
        """Yield the records that are committed now, from the beginning, and end.

        Raises:
            Unavailable: If Kafka goes away meanwhile.
        """
        async with self._reader(topics, from_beginning=True) as consumer:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(list(consumer.assignment()))
            remaining = Remaining(consumer, ends, patience_s=patience_of(self.settings))
            while await remaining.count():
                for record in await _poll(consumer):
                    if record.offset < ends[TopicPartition(record.topic, record.partition)]:
                        yield record

    async def require_topics(self, topics: Iterable[str]) -> dict[str, list[int]]:
        """Return the partitions of each of ``topics``.

        Raises:
            TopicMissing: With every topic that does not exist.
            InvalidInput: With those that we may not see.
        """
        admin = AIOKafkaAdminClient(**client_options(self.settings))
        await admin.start()
        try:
            described: list[dict[str, Any]] = await admin.describe_topics(list(topics))
        finally:
            await admin.close()
        if hidden := [each["topic"] for each in described if each["error_code"] == TopicAuthorizationFailedError.errno]:
            raise InvalidInput([not_allowed("see", hidden)])
        if missing := sorted(each["topic"] for each in described if each["error_code"]):
            raise TopicMissing([_no_topic(topic, self.settings.namespace) for topic in missing])
        return {each["topic"]: sorted(part["partition"] for part in each["partitions"]) for each in described}

    @contextlib.asynccontextmanager
    async def _reader(self, topics: Iterable[str], *, from_beginning: bool) -> AsyncIterator[AIOKafkaConsumer]:
        names = list(topics)
        partitions = await self.require_topics(names)
        async with consuming(self.settings) as consumer:
            consumer.assign([TopicPartition(name, number) for name in names for number in partitions[name]])
            await (consumer.seek_to_beginning() if from_beginning else _seek_to_end(consumer))
            yield consumer

    async def _enqueue(self, topic: str, message: Outgoing) -> asyncio.Future[RecordMetadata]:
        producer = await self._started_producer(topic)
        future: asyncio.Future[RecordMetadata] = await producer.send(
            topic, message.value, key=message.key, headers=message.headers
        )
        return future

    async def _started_producer(self, topic: str) -> AIOKafkaProducer:
        if self._producer is None:
            await self.require_topics([topic])
            limit = self.settings.max_message_bytes + _OVERHEAD_BYTES
            producer = AIOKafkaProducer(
                **client_options(self.settings), acks="all", enable_idempotence=True, max_request_size=limit
            )
            await producer.start()
            self._producer = producer
        return self._producer


@dataclass(frozen=True, slots=True)
class Follower:
    """Reads topics, committed records only."""

    consumer: AIOKafkaConsumer

    async def poll(self) -> list[ConsumerRecord]:
        """Return what came, perhaps nothing, within a tenth of a second."""
        return await _poll(self.consumer)


async def _poll(consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    batches: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(timeout_ms=_POLL_MS)
    return [record for batch in batches.values() for record in batch]


async def _seek_to_end(consumer: AIOKafkaConsumer) -> None:
    # aiokafka only marks a partition for a later reset in seek_to_end; what is sent before that reset would be missed.
    for partition, end in (await consumer.end_offsets(list(consumer.assignment()))).items():
        consumer.seek(partition, end)


async def _drain(waiting: list[asyncio.Future[RecordMetadata]], delivered: Callable[[RecordMetadata], None]) -> None:
    for future in waiting:
        delivered(await future)
    waiting.clear()


def read_event(record: ConsumerRecord) -> ControlEvent | None:
    """Read a message of the control-events topic, or ``None`` for one that is not ours."""
    try:
        return ControlEvent.model_validate(orjson.loads(record.value or b""))
    except (orjson.JSONDecodeError, ValidationError):
        return None


def _events_of(records: Iterable[ConsumerRecord], command_id: str) -> list[ControlEvent]:
    events = (read_event(record) for record in records)
    return [event for event in events if event is not None and event.command_id == command_id]


def _no_topic(topic: str, namespace: str) -> str:
    if topic.startswith(f"{namespace}."):
        return f"the topic {topic} does not exist; make all of them with `lexstream topics create`"
    return f"the topic {topic} does not exist"
