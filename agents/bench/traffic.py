"""Documents into a subject's topic, and what an independent ``read_committed`` consumer sees come out."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from agents.bench.documents import BenchDocument
from agents.bench.stats import Spans, miscounted
from agents.kafka import client_options
from agents.settings import Settings
from agents.topics import expected_topics
from schemas.errors import LexstreamError, Unavailable

PARTITIONS: Final = 4
_PATIENCE_S: Final = 60.0
_POLL_MS: Final = 200
_TICK_S: Final = 0.002
_LINGER_MS: Final = 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """When an output became visible, and what it says."""

    at: float
    document: str
    value: bytes

    @property
    def spans(self) -> Spans:
        """The entities in it."""
        return spans_of(orjson.loads(self.value)["results"][0]["entities"])


@dataclass(frozen=True)
class Passage:
    """Documents that went through a subject.

    Attributes:
        started: When the first was sent.
        arrivals: What came out, in order.
        due: When each document was due to be sent.
        lost: Documents that did not come out.
        extra: Outputs that nobody waited for.
    """

    started: float
    arrivals: Sequence[Arrival]
    due: dict[str, float]
    lost: int
    extra: int

    @property
    def seconds(self) -> float:
        """From the first document sent to the last output seen."""
        return self.arrivals[-1].at - self.started

    @property
    def latencies(self) -> list[float]:
        """Seconds of each document, from when it was due to when its output was seen."""
        return [arrival.at - self.due[arrival.document] for arrival in self.arrivals if arrival.document in self.due]


def spans_of(entities: Sequence[Any]) -> Spans:
    """Return the entities as a set that can be compared."""
    return frozenset((each["category"], each["offset"], each["length"]) for each in entities)


class Line:
    """One subject's topics, with both ends in our hands."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, *, check: Callable[[], None]) -> None:
        """Make a line; ``check`` raises when the subject has ended."""
        self._topics = settings.topics
        self._producer = producer
        self._check = check
        self._consumer = AIOKafkaConsumer(
            **client_options(settings), isolation_level="read_committed", auto_offset_reset="earliest"
        )
        self._consumer.assign([TopicPartition(self._topics.enriched, number) for number in range(PARTITIONS)])

    async def open(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def close(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def run(self, documents: Sequence[BenchDocument], *, tag: str, per_s: float | None = None) -> Passage:
        """Send documents, as fast as can be or so many a second, and return what came of them.

        Args:
            documents: What to send.
            tag: Makes the ids of this passage others than those of every other.
            per_s: The rate of an open loop: sending waits for no answer.

        Raises:
            LexstreamError: The subject ended or stopped answering.
        """
        events = [_event(document, tag) for document in documents]
        started = time.perf_counter()
        due = {key: started + (at / per_s if per_s else 0.0) for at, (key, _) in enumerate(events)}
        sending = asyncio.create_task(self._send(events, due))
        try:
            arrivals = await self._collect(len(events))
            await sending
        finally:
            sending.cancel()
        lost, extra = miscounted(due, [arrival.document for arrival in arrivals])
        return Passage(started, arrivals, due, lost, extra)

    async def leftovers(self) -> int:
        """Return how many outputs came after all that were waited for."""
        found = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return sum(map(len, found.values()))

    async def _send(self, events: Sequence[tuple[str, bytes]], due: dict[str, float]) -> None:
        sent = []
        for at, (key, value) in enumerate(events):
            if due[key] > time.perf_counter():
                await asyncio.sleep(max(due[key] - time.perf_counter(), _TICK_S))
            topic, partition = self._topics.documents, at % PARTITIONS
            sent.append(await self._producer.send(topic, value, key=key.encode(), partition=partition))
        await asyncio.gather(*sent)

    async def _collect(self, count: int) -> list[Arrival]:
        arrivals: list[Arrival] = []
        last = time.perf_counter()
        while len(arrivals) < count:
            found = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now = time.perf_counter()
            arrivals += [
                Arrival(now, record.key.decode(), record.value) for records in found.values() for record in records
            ]
            if found:
                last = now
            elif now - last > _PATIENCE_S:
                raise LexstreamError(
                    f"got {len(arrivals)} of {count} documents back, and none for {_PATIENCE_S:.0f} s; "
                    f"look into {self._topics.dead_letters}"
                )
            else:
                self._check()
        return arrivals


def _event(document: BenchDocument, tag: str) -> tuple[str, bytes]:
    key = f"{tag}/{document.id}"
    return key, orjson.dumps({"id": key, "text": document.text})


def new_producer(settings: Settings) -> AIOKafkaProducer:
    """Return what documents are sent with."""
    return AIOKafkaProducer(**client_options(settings), acks="all", linger_ms=_LINGER_MS, max_batch_size=256 * 1024)


class BenchTopics:
    """The topics of all subjects: made together, deleted together."""

    def __init__(self, settings: Sequence[Settings]) -> None:
        self._settings = settings
        self._names: list[str] = []

    async def create(self) -> None:
        """Make them."""
        specs = [spec for each in self._settings for spec in expected_topics(each, partitions=PARTITIONS)]
        wanted = {name for each in self._settings for name in _needed(each)}
        made = [NewTopic(s.name, PARTITIONS, 1, topic_configs=s.config) for s in specs if s.name in wanted]
        self._names = [topic.name for topic in made]
        async with _Admin(self._settings[0]) as admin:
            answer = await admin.create_topics(made, timeout_ms=20_000)
        for name, code, *_ in answer.topic_errors:
            if code:
                raise Unavailable(f"topic {name} cannot be made: {for_code(code).__name__}")

    async def delete(self) -> None:
        """Delete them."""
        if self._names:
            async with _Admin(self._settings[0]) as admin:
                await admin.delete_topics(self._names)


class _Admin:
    def __init__(self, settings: Settings) -> None:
        self._client = AIOKafkaAdminClient(**client_options(settings))

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()


def _needed(settings: Settings) -> list[str]:
    topics = settings.topics
    return [
        topics.documents,
        topics.enriched,
        topics.requests,
        topics.replies,
        topics.dead_letters,
        topics.control_events,
    ]
