"""Reading dead letters: what their headers say, which of them somebody wants, and a pass over all in little memory."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents.client import Client
from agents.consumer import consuming
from agents.patience import Remaining, patience_of
from schemas.dead_letters import DeadLetter, replay_attempts
from schemas.errors import DecodeError, InvalidInput

Advanced = Callable[[int, int], None]
"""Hears how many of how many offsets were read."""

_POLL_MS = 200
_POLL_RECORDS = 500
_SOURCE = re.compile(r"([^/@]+)(?:/([0-9]{1,9})(?:[@/]([0-9]{1,18})(?:(-)([0-9]{1,18})?)?)?)?")
_AGE = re.compile(r"([0-9]{1,6})([smhd])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and what its headers say.

    Attributes:
        record: The letter; its value is gone where only the rest is needed.
        facts: What its headers say.
        size: Of the value, in bytes.
    """

    record: ConsumerRecord
    facts: DeadLetter
    size: int = 0

    @classmethod
    def read(cls, record: ConsumerRecord) -> "Letter | None":
        """Return the letter, or ``None`` for a record that is none."""
        try:
            return cls(record, DeadLetter.from_headers(record.headers), len(record.value or b""))
        except DecodeError:
            return None

    @property
    def place(self) -> str:
        """Where the letter stands, as ``topic/partition/offset``."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    @property
    def attempts(self) -> int:
        """How often the event was sent back before it became this letter."""
        return replay_attempts(self.record.headers)

    def without_value(self) -> "Letter":
        """Return the same without the value, which may be megabytes."""
        return replace(self, record=replace(self.record, value=None))


@dataclass(frozen=True, slots=True)
class Source:
    """Where letters came from: a topic, one of its partitions, or some of its offsets."""

    topic: str
    partition: int | None = None
    first: int = 0
    last: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """Read ``topic``, ``topic/2``, ``topic/2@7`` (or ``topic/2/7``), ``topic/2@7-9`` or ``topic/2@7-``.

        Raises:
            InvalidInput: If it is none of these, or ends before it begins.
        """
        found = _SOURCE.fullmatch(text)
        if not found:
            raise InvalidInput(
                [f"--source {text}: expected TOPIC, TOPIC/PARTITION, TOPIC/PARTITION@OFFSET or TOPIC/PARTITION@FROM-TO"]
            )
        topic, partition, first, upward, last = found.groups()
        if first is None:
            return cls(topic, None if partition is None else int(partition))
        end = int(last) if last else None if upward else int(first)
        if end is not None and end < int(first):
            raise InvalidInput([f"--source {text}: {end} is before {first}, expected FROM-TO in their order"])
        return cls(topic, int(partition), int(first), end)

    def __contains__(self, facts: object) -> bool:
        return (
            isinstance(facts, DeadLetter)
            and facts.topic == self.topic
            and self.partition in {None, facts.partition}
            and self.first <= facts.offset
            and (self.last is None or facts.offset <= self.last)
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters somebody wants; those to list and those to replay are chosen by the same words.

    Attributes:
        reasons: Classes of errors or stages; empty: all.
        since_ms: Of the letter itself, in milliseconds since 1970; it became a letter then or later.
        until_ms: It became a letter before.
        sources: Where it came from; empty: anywhere.
    """

    reasons: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    sources: tuple[Source, ...] = ()

    def __contains__(self, letter: object) -> bool:
        return isinstance(letter, Letter) and self.covers(letter) and self.has_reason(letter)

    def covers(self, letter: Letter) -> bool:
        """Whether time and source are those that are wanted."""
        at = letter.record.timestamp
        return (
            (self.since_ms is None or at >= self.since_ms)
            and (self.until_ms is None or at < self.until_ms)
            and (not self.sources or any(letter.facts in source for source in self.sources))
        )

    def has_reason(self, letter: Letter) -> bool:
        """Whether the reason is one that is wanted."""
        return not self.reasons or not self.reasons.isdisjoint((letter.facts.error, letter.facts.stage))


def parse_time(text: str, *, option: str, now: datetime) -> int:
    """Read a point in time, such as ``2026-01-05T10:00`` (local unless it says otherwise), or an age, such as ``2h``.

    Returns:
        Milliseconds since 1970.

    Raises:
        InvalidInput: If it is neither; ``option`` says of what.
    """
    try:
        if age := _AGE.fullmatch(text):
            at = now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.astimezone()
        return (at.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)  # what Kafka keeps is cut off like this
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            [f"{option} {text}: expected a time such as 2026-01-05T10:00 or an age such as 90s, 30m, 2h or 7d"]
        ) from None


@contextlib.asynccontextmanager
async def letters_of(
    client: Client, *, since_ms: int | None = None, whole: int = 1, advanced: Advanced = lambda _done, _total: None
) -> AsyncIterator[AsyncIterator[list[Letter]]]:
    """Read the letters that are there now, a few hundred at a time, with their values; each partition in order.

    Args:
        client: Where.
        since_ms: Leave out the older ones, without reading them; some of these may come all the same.
        whole: Begin at a multiple of this offset all the same, or with the first letter that there is.
        advanced: Hears how far it is.

    Raises:
        InvalidInput: If there is no such topic.
        Unavailable: If Kafka goes away meanwhile.
    """
    topic = client.settings.topics.dead_letters
    numbers = (await client.require_topics([topic]))[topic]
    async with consuming(client.settings) as consumer:
        partitions = [TopicPartition(topic, number) for number in numbers]
        spans = await _spans(consumer, partitions, since_ms, whole=whole)
        yield _batches(consumer, spans, patience_s=patience_of(client.settings), advanced=advanced)


async def read_letter(client: Client, partition: int, offset: int) -> Letter | None:
    """Return the letter that stands there, with its value, if there is one."""
    topic = client.settings.topics.dead_letters
    if partition not in (await client.require_topics([topic]))[topic]:
        return None
    where = TopicPartition(topic, partition)
    async with consuming(client.settings) as consumer:
        begin, end = (await _spans(consumer, [where], None)).get(where, (0, 0))
        if not begin <= offset < end:
            return None
        spans, patience_s = {where: (offset, offset + 1)}, patience_of(client.settings)
        async for batch in _batches(consumer, spans, patience_s=patience_s, advanced=lambda _done, _total: None):
            return next((letter for letter in batch if letter.record.offset == offset), None)
    return None


Spans = dict[TopicPartition, tuple[int, int]]


async def _spans(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], since_ms: int | None, *, whole: int = 1
) -> Spans:
    """Return the offsets to read, from and to, of the partitions that have any."""
    begins: dict[TopicPartition, int] = await consumer.beginning_offsets(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    if since_ms is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, max(since_ms, 0)))
        begins = {
            where: ends[where] if at is None else max(begins[where], at.offset // whole * whole)
            for where, at in found.items()
        }
    return {where: (begins[where], ends[where]) for where in partitions if begins[where] < ends[where]}


async def _batches(
    consumer: AIOKafkaConsumer, spans: Spans, *, patience_s: float, advanced: Advanced
) -> AsyncIterator[list[Letter]]:
    consumer.assign(list(spans))
    for where, (begin, _) in spans.items():
        consumer.seek(where, begin)
    remaining = Remaining(consumer, {where: end for where, (_, end) in spans.items()}, patience_s=patience_s)
    left = total = await remaining.count()
    while left:
        polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
        records = [each for where, batch in polled.items() for each in batch if each.offset < spans[where][1]]
        if letters := [letter for record in records if (letter := Letter.read(record))]:
            yield letters
        left = await remaining.count()
        advanced(total - left, total)
