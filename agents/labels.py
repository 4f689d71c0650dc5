"""A project's labelled documents, read from the labels topic as they are now."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from pydantic import ValidationError

from agents.batches import why_unreadable
from agents.consumer import consuming
from agents.patience import Remaining, patience_of
from agents.settings import Settings
from agents.topic_admin import not_allowed
from agents.writer import Entry
from schemas.errors import DecodeError, InvalidInput, Unavailable
from schemas.labels import LabelledDocument

logger = logging.getLogger(__name__)

_FETCH_BYTES = 8 * 1024 * 1024
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class ProjectLabels:
    """The documents in the order of the labels file, and exactly which they are.

    Attributes:
        documents: The documents.
        digest: Of all of them.
        offsets: For each partition of the labels topic that holds some: the first and the last of their offsets.
        unreadable: The first record of the topic that cannot be read, and why. Nobody knows whose document it is.
    """

    documents: tuple[LabelledDocument, ...]
    digest: str
    offsets: Mapping[int, tuple[int, int]]
    unreadable: str | None = None

    def require_all(self) -> None:
        """Refuse to go on with what may not be all.

        Raises:
            DecodeError: If a record of the topic cannot be read.
        """
        if self.unreadable:
            raise DecodeError(f"the labels may lack a document: {self.unreadable}")


@dataclass(frozen=True, slots=True)
class _Place:
    value: bytes
    partition: int
    offset: int


def label_entry(settings: Settings, document: LabelledDocument) -> Entry:
    """Return the entry that writes a document."""
    key = f"{document.project}/{document.id}".encode()
    return Entry(settings.topics.labels, key, orjson.dumps(document.payload()))


def label_tombstone(settings: Settings, project: str, document_id: str) -> Entry:
    """Return the entry that deletes a document."""
    return Entry(settings.topics.labels, f"{project}/{document_id}".encode(), None)


async def read_labels(settings: Settings, project: str) -> ProjectLabels:
    """Return all labelled documents that ``project`` has now.

    Raises:
        DecodeError: If one of them cannot be read.
        InvalidInput: If Kafka does not let us read the topic.
        Unavailable: If Kafka does not answer, or somebody's import is open for too long.
    """
    places, unreadable = await _current(settings, project)
    documents = [_document(document_id, place) for document_id, place in places.items()]
    documents.sort(key=lambda document: (document.position, document.id))
    digest = hashlib.sha256()
    for document in documents:
        digest.update(orjson.dumps(document.payload(), option=orjson.OPT_SORT_KEYS) + b"\n")
    offsets: dict[int, tuple[int, int]] = {}
    for place in places.values():
        first, last = offsets.get(place.partition, (place.offset, place.offset))
        offsets[place.partition] = min(first, place.offset), max(last, place.offset)
    return ProjectLabels(tuple(documents), f"sha256:{digest.hexdigest()}", dict(sorted(offsets.items())), unreadable)


async def read_label_ids(settings: Settings, project: str) -> list[str]:
    """Return the ids of the documents that ``project`` has now, even of those that cannot be read.

    Raises:
        InvalidInput: If Kafka does not let us read the topic. A controller leaves with that: no command is to blame.
        Unavailable: If Kafka does not answer, or somebody's import is open for too long.
    """
    places, _ = await _current(settings, project)
    return sorted(places)


async def _current(settings: Settings, project: str) -> tuple[dict[str, _Place], str | None]:
    """Return where the documents of a project are, and the first record that nobody can read; that is told, too."""
    prefix = f"{project}/".encode()
    found: dict[str, _Place] = {}
    unreadable = None
    try:
        async for message in _all_messages(settings):
            if why := why_unreadable(message):
                unreadable = unreadable or f"{message.topic}/{message.partition} offset {message.offset}: {why}"
            if not message.key or not message.key.startswith(prefix):
                continue
            document_id = message.key.removeprefix(prefix).decode("utf-8", "replace")
            if message.value is None:
                found.pop(document_id, None)
            else:
                found[document_id] = _Place(message.value, message.partition, message.offset)
    except TopicAuthorizationFailedError as error:
        raise InvalidInput([not_allowed("read", [settings.topics.labels])]) from error
    except (KafkaError, OSError) as error:
        raise Unavailable(f"the labels cannot be read: {error!r}") from error
    if unreadable:  # on the terminal of a command, too, which shows only what is critical
        logger.critical("the labels may lack a document: %s", unreadable, extra={"action": "labels_unreadable"})
    return found, unreadable


async def _all_messages(settings: Settings) -> AsyncIterator[ConsumerRecord]:
    """Yield all that is committed, of every partition up to the same moment: of an import all, or nothing.

    For those who read committed a partition ends before the first open transaction, such as that of an import that was
    acknowledged, until its markers are written. So the ends are those for everybody, and asked for until none moves.
    """
    async with (
        consuming(settings, settings.topics.labels, max_partition_fetch_bytes=_FETCH_BYTES) as consumer,
        consuming(settings, isolation_level="read_uncommitted") as asking,
    ):
        read: dict[TopicPartition, int] = {}
        while (ends := await asking.end_offsets(consumer.assignment())) != read:
            remaining = Remaining(consumer, ends, patience_s=patience_of(settings))
            while await _count(remaining, consumer, ends):
                for messages in (await consumer.getmany(timeout_ms=100)).values():
                    for message in messages:
                        yield message
            read = ends


async def _count(remaining: Remaining, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> int:
    try:
        return await remaining.count()
    except Unavailable:
        if not await _is_hidden(consumer, ends):
            raise
        why = "an import is being written, or somebody died who wrote one; expected it to end within five minutes"
        raise Unavailable(f"the labels cannot be read now: {why}; try again then") from None


async def _is_hidden(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    """Whether Kafka answers that an open transaction lies before one of the ends."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            readable: dict[TopicPartition, int] = await consumer.end_offsets(ends)
    except (KafkaError, TimeoutError):
        return False
    return any(readable[partition] < end for partition, end in ends.items())


def _document(document_id: str, place: _Place) -> LabelledDocument:
    try:
        return LabelledDocument.model_validate_json(place.value)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise DecodeError(f"labelled document {document_id!r} cannot be read: {problems}") from error
