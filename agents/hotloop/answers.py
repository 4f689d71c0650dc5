"""A window's answers of one partition to the messages of its transaction. Pure, but for the log of what is our bug."""

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from agents.enrich import Enricher, timestamp
from agents.hotloop.decode import Item, Record
from agents.inference import Answer
from agents.lanes import Lane
from agents.routing import Routes, routed_topics
from agents.serving import Answerers, Key, Served
from schemas.codecs.json import encode_object
from schemas.control_events import ControlEvent, EventType
from schemas.dead_letters import dead_letter_headers, is_replayed, without_content
from schemas.documents import DocumentEvent
from schemas.enriched import MODEL_HEADER, SOURCE_HEADER, EnrichedDocument, Source
from schemas.errors import (
    EncodeError,
    EventError,
    Fatal,
    InvalidEvent,
    ModelError,
    OversizedEvent,
    TasksFailed,
    forget_frames,
)

logger = logging.getLogger(__name__)

_OVERHEAD = 256
"""What a batch of one message has around key, value and headers, generously."""
_HEADER_OVERHEAD = 16
_OURS = frozenset({SOURCE_HEADER, MODEL_HEADER})


class Outgoing(NamedTuple):
    """A message for a partition of ``topic``: the input's number, modulo how many there are."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    n_bytes: int
    """What a batch of this one message takes at most."""


def outgoing(
    topic: str, partition: int, *, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> Outgoing:
    """Return the message with its size."""
    n_bytes = len(value or b"") + len(key or b"") + _OVERHEAD
    for name, content in headers:
        n_bytes += len(name) + len(content or b"") + _HEADER_OVERHEAD
    return Outgoing(topic, partition, key, value, headers, n_bytes)


class Asked(NamedTuple):
    """An event on its way through the model: who answers it, and what they said."""

    item: Item
    answerers: Answerers
    answer: Answer


class EnrichedEncoder(Protocol):
    """What writes enriched documents."""

    def encode(self, document: EnrichedDocument) -> bytes:
        """Return the bytes, or raise an EncodeError."""


@dataclass(slots=True)
class Outcome:
    """What one transaction holds, and what it means for those who count."""

    messages: list[Outgoing] = field(default_factory=list)
    next_offset: int = 0
    served: dict[Key, str] = field(default_factory=dict)
    n_enriched: int = 0
    n_switches: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    replayed: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    routed: Counter[str] = field(default_factory=Counter)


class Answering:
    """Makes the messages of one partition and window.

    Args:
        lane: Where results go.
        dead_letters: Topic of the dead letters.
        control_events: Topic that is told of switches.
        enricher: Makes enriched documents.
        codec: Writes them.
        limit: Gives the largest message that a topic takes, in bytes.
    """

    def __init__(
        self,
        lane: Lane,
        *,
        dead_letters: str,
        control_events: str,
        enricher: Enricher,
        codec: EnrichedEncoder,
        limit: Callable[[str], int],
    ) -> None:
        self._lane = lane
        self._dead_letters = dead_letters
        self._control_events = control_events
        self._enricher = enricher
        self._codec = codec
        self._limit = limit
        self._said: set[type[Exception]] = set()

    def outcome(self, asked: Iterable[Asked], *, routes: Routes, served: Mapping[Key, str], now_ms: int) -> Outcome:
        """Return the messages for ``asked``, which are of one partition, in order.

        Args:
            asked: The events with their answers.
            routes: The routes at the time of the window.
            served: Which digest each deployment used in the partition's last transaction.
            now_ms: Milliseconds since 1970.
        """
        outcome = Outcome(served=dict(served))
        at = timestamp(now_ms)
        for one in asked:
            record = one.item.record
            try:
                messages = self._messages(one, routes, at)
            except EventError as error:
                outcome.messages.append(self._dead_letter(record, error))
                outcome.dead[type(error).__name__] += 1
                outcome.replayed["dead_letter"] += is_replayed(record.headers)
                forget_frames(error)  # events and answers are kept with their errors
            else:
                outcome.n_enriched += 1
                outcome.replayed["enriched"] += is_replayed(record.headers)
                outcome.messages += messages
                outcome.routed.update(message.topic for message in messages[1:])
                self._note_switches(one, outcome)
            outcome.failures.update(failure["code"] for failure in one.answerers.failures)
            outcome.next_offset = record.offset + 1
        return outcome

    def _messages(self, one: Asked, routes: Routes, at: str) -> list[Outgoing]:
        record, event, answerers = one.item.record, one.item.content, one.answerers
        if isinstance(event, EventError):
            raise event
        if isinstance(one.answer, ModelError):
            raise one.answer
        if not answerers.served:
            raise _nobody(record, answerers)
        document, value = self._written(record, event, one, at)
        headers = _headers(record, answerers.served)
        output = outgoing(self._lane.output, record.partition, key=record.key, value=value, headers=headers)
        messages = [output, *(output._replace(topic=topic) for topic in routed_topics(routes, document["results"]))]
        self._check_size(messages)
        return messages

    def _written(self, record: Record, event: DocumentEvent, one: Asked, at: str) -> tuple[EnrichedDocument, bytes]:
        try:
            document = self._document(record, event, one, at)
            return document, self._codec.encode(document)
        except (EventError, MemoryError):  # without memory no document can be made: that is not the event's fault
            raise
        except Exception as error:
            self._say(error)
            # What nobody foresaw about one document must not stop its partition for ever; when it is about all of
            # them, the dead letter limit stops us. The library's own words may quote the document.
            raise EncodeError(f"the enriched document could not be made: {type(error).__name__}") from error

    def _say(self, error: Exception) -> None:
        """Log where it broke, once for each class, without the error's own words: they may quote the document."""
        if (kind := type(error)) not in self._said:
            self._said.add(kind)
            frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            logger.error("a document could not be made: %s\n%s", kind.__name__, frames, extra={"action": "dead_letter"})

    def _document(self, record: Record, event: DocumentEvent, one: Asked, at: str) -> EnrichedDocument:
        assert not isinstance(one.answer, ModelError)  # noqa: S101 - the caller looked
        source = Source(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=timestamp(record.timestamp),
        )
        return self._enricher(event, source, answerers=one.answerers, predictions=one.answer, at=at)

    def _check_size(self, messages: Sequence[Outgoing]) -> None:
        for topic, *_, size in messages:
            if size > (limit := self._limit(topic)):
                raise EncodeError(f"the enriched document takes {size} bytes, {topic} expects at most {limit}")

    def _dead_letter(self, record: Record, error: EventError) -> Outgoing:
        headers = dead_letter_headers(
            record.headers,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            error=error,
        )
        message = outgoing(self._dead_letters, record.partition, key=record.key, value=record.value, headers=headers)
        if message.n_bytes > (limit := self._limit(self._dead_letters)):
            if isinstance(error, OversizedEvent) and (record.value or record.key or record.headers):
                return self._dead_letter(_Emptied.of(record), without_content(error))
            raise Fatal(
                f"the dead letter of {record.topic}/{record.partition}/{record.offset} takes {message.n_bytes} bytes, "
                f"{self._dead_letters} takes at most {limit}: raise its max.message.bytes above that of {record.topic}"
            )
        return message

    def _note_switches(self, one: Asked, outcome: Outcome) -> None:
        for served in one.answerers.served:
            key = served.project, served.deployment
            before = outcome.served.get(key)
            if before != served.digest:
                outcome.served[key] = served.digest
                outcome.n_switches += 1
                outcome.messages.append(self._switched(one.item.record, served, before))

    def _switched(self, record: Record, served: Served, before: str | None) -> Outgoing:
        event = ControlEvent(
            project=served.project,
            event=EventType.SWITCHED,
            details={
                "deployment": served.deployment,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "from": before,
                "to": served.digest,
            },
        )
        key, value = served.project.encode(), encode_object(event.payload())
        return outgoing(self._control_events, record.partition, key=key, value=value, headers=[])


@dataclass(slots=True)
class _Emptied:
    """A record without what it holds: expanded from a compressed batch, it fits no topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()

    @classmethod
    def of(cls, record: Record) -> "_Emptied":
        return cls(record.topic, record.partition, record.offset, record.timestamp)


def _nobody(record: Record, answerers: Answerers) -> EventError:
    if answerers.failures:
        return TasksFailed("; ".join(f"{failure['code']}: {failure['message']}" for failure in answerers.failures))
    return InvalidEvent(f"tasks: expected at least one, got none, and {record.topic} has no default tasks")


def _headers(record: Record, served: Sequence[Served]) -> list[tuple[str, bytes]]:
    return [
        # What calls itself ours but came with the event would pass for our word.
        *(header for header in record.headers if header[0] not in _OURS),
        (SOURCE_HEADER, f"{record.topic}/{record.partition}/{record.offset}".encode()),
        *((MODEL_HEADER, one.header) for one in served),
    ]
