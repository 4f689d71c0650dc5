"""Documents into a subject's topic, and what an independent ``read_committed`` consumer sees come out."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from agents.bench.documents import BenchDocument
from agents.bench.stats import Spans, miscounted
from agents.kafka import client_options
from agents.prove.clients import consumer_options, producer_options
from agents.settings import Settings
from agents.topics import expected_topics
from schemas.errors import LexstreamError, Unavailable

PARTITIONS: Final = 4
_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.2
_TICK_S: Final = 0.002
_LINGER_MS: Final = 1
_MESSAGES: Final = 1_000


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

    def latencies(self) -> list[float]:
        """Seconds from when a document was due to when its output was seen."""
        due = ((arrival.at, self.due.get(arrival.document)) for arrival in self.arrivals)
        return [at - then for at, then in due if then is not None]


def spans_of(entities: Sequence[Any]) -> Spans:
    """Return the entities as a set that can be compared."""
    return frozenset((each["category"], each["offset"], each["length"]) for each in entities)


class Line:
    """One subject's topics, with both ends in our hands.

    Both ends are confluent-kafka: what is measured shares the processors with them, and they take next to nothing.
    """

    def __init__(self, settings: Settings, *, check: Callable[[], None]) -> None:
        """Make a line; ``check`` raises when the subject has ended."""
        self._settings = settings
        self._topics = settings.topics
        self._check = check
        self._stopped = threading.Event()
        self._producer: Any = None
        self._consumer: Any = None

    def open(self) -> None:
        """Connect."""
        from confluent_kafka import Consumer, Producer, TopicPartition

        self._producer = Producer(producer_options(self._settings) | {"linger.ms": _LINGER_MS})
        self._consumer = Consumer(consumer_options(self._settings) | {"enable.partition.eof": False})
        self._consumer.assign([TopicPartition(self._topics.enriched, number, 0) for number in range(PARTITIONS)])

    def close(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            self._consumer.close()

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
        running = asyncio.create_task(asyncio.to_thread(self._run, events, per_s))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stopped.set()
            await asyncio.wait([running])  # nobody may close what another thread polls
            raise

    def leftovers(self) -> int:
        """Return how many outputs came after all that were waited for."""
        return len(self._consumer.consume(_MESSAGES, _POLL_S))

    def _run(self, events: Sequence[tuple[str, bytes]], per_s: float | None) -> Passage:
        started = time.perf_counter()
        due = {key: started + (at / per_s if per_s else 0.0) for at, (key, _) in enumerate(events)}
        arrivals: list[Arrival] = []
        n_sent, last = 0, started
        while len(arrivals) < len(events) and not self._stopped.is_set():
            n_sent = self._send(events, n_sent, due)
            if found := self._received(_TICK_S if n_sent < len(events) else _POLL_S):
                arrivals += found
                last = found[-1].at
            elif time.perf_counter() - last > _PATIENCE_S:
                raise LexstreamError(
                    f"got {len(arrivals)} of {len(events)} documents back, and none for {_PATIENCE_S:.0f} s; "
                    f"look into {self._topics.dead_letters}"
                )
            else:
                self._check()
        lost, extra = miscounted(due, [arrival.document for arrival in arrivals])
        return Passage(started, arrivals, due, lost, extra)

    def _send(self, events: Sequence[tuple[str, bytes]], n_sent: int, due: Mapping[str, float]) -> int:
        """Send what is due, and return how many are sent by now."""
        while n_sent < len(events) and due[events[n_sent][0]] <= time.perf_counter():
            key, value = events[n_sent]
            try:
                self._producer.produce(self._topics.documents, value, key=key, partition=n_sent % PARTITIONS)
            except BufferError:  # the client's queue is full
                break
            n_sent += 1
        self._producer.poll(0)
        return n_sent

    def _received(self, patience_s: float) -> list[Arrival]:
        """Return what came, after waiting for the first of it at most ``patience_s``."""
        first = self._consumer.poll(patience_s)
        messages = [] if first is None else [first, *self._consumer.consume(_MESSAGES, 0)]
        now = time.perf_counter()
        return [Arrival(now, each.key().decode(), each.value()) for each in messages if each.error() is None]


def _event(document: BenchDocument, tag: str) -> tuple[str, bytes]:
    key = f"{tag}/{document.id}"
    return key, orjson.dumps({"id": key, "text": document.text})


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
