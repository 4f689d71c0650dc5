"""Sending dead letters back to where they came from, each exactly once.

What was replayed is remembered with the offsets of a consumer group of its own, in the same transaction that sends the
letters: the committed offset is the first letter of a partition that was not replayed, and the offset's metadata says
which later ones were. A second replay fences the first, since both use one transactional id.
"""

import base64
import binascii
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from agents.client import Client
from agents.kafka import client_options
from agents.settings import Settings
from schemas.dead_letters import DeadLetter, original_headers
from schemas.errors import DecodeError, LexstreamError

REPLAY_HEADER = "lexstream-replayed-from"
"""Header of a replayed event: topic, partition and offset of the dead letter."""
_METADATA_BYTES = 4096
_TRANSACTION_LETTERS = 500
_TRANSACTION_BYTES = 32 * 1024 * 1024
_OVERHEAD_BYTES = 64 * 1024
_COORDINATOR_S = 10.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and what its headers say.

    Attributes:
        record: The letter. Its value is only there where it was asked for: all of them may not fit into memory.
        facts: What its headers say.
        size: Of the value, in bytes.
    """

    record: ConsumerRecord
    facts: DeadLetter
    size: int = 0


@dataclass(frozen=True)
class Replayed:
    """Which letters of a partition were replayed: all before ``first``, and ``later``."""

    first: int = 0
    later: frozenset[int] = frozenset()

    def __contains__(self, offset: object) -> bool:
        return isinstance(offset, int) and (offset < self.first or offset in self.later)

    def after(self, offsets: Iterable[int], *, letters: Iterable[int]) -> "Replayed":
        """Return what holds when ``offsets`` were replayed, too; ``letters`` are all that there are, in order."""
        done = self.later | set(offsets)
        waiting = [offset for offset in letters if offset >= self.first and offset not in done]
        first = waiting[0] if waiting else max([self.first - 1, *done]) + 1
        return Replayed(first, frozenset(offset for offset in done if offset > first))

    def metadata(self) -> str:
        """Return ``later`` as a compressed bitmap.

        Raises:
            LexstreamError: If it does not fit into what Kafka takes.
        """
        if not self.later:
            return ""
        bits = sum(1 << (offset - self.first) for offset in self.later)
        packed = zlib.compress(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), 9)
        text = base64.b85encode(packed).decode()
        if len(text) > _METADATA_BYTES:
            raise LexstreamError(
                "too many dead letters were left out before: replay some of those first, without or with another "
                "--reason"
            )
        return text

    @classmethod
    def read(cls, offset: int, metadata: str) -> "Replayed":
        """Read a committed offset and its metadata.

        Raises:
            LexstreamError: If the metadata is not ours.
        """
        if offset < 0 or not metadata:
            return cls(max(offset, 0))
        try:
            bits = int.from_bytes(zlib.decompress(base64.b85decode(metadata)), "little")
        except (ValueError, binascii.Error, zlib.error) as error:
            raise LexstreamError(f"the replay group's offset has metadata that cannot be read: {error}") from error
        later = frozenset(offset + index for index in range(bits.bit_length()) if bits >> index & 1)
        return cls(offset, later)


def replay_group(settings: Settings) -> str:
    """Return the group whose offsets remember what was replayed."""
    return f"{settings.group}-replay"


async def read_letters(client: Client) -> list[Letter]:
    """Return all dead letters without values, oldest first within a partition. What is none is left out."""
    found: list[Letter] = []
    async for record in client.snapshot([client.settings.topics.dead_letters]):
        try:
            facts = DeadLetter.from_headers(record.headers)
            found.append(Letter(replace(record, value=None), facts, len(record.value or b"")))
        except DecodeError:
            continue
    return sorted(found, key=lambda letter: (letter.record.partition, letter.record.offset))


async def with_values(settings: Settings, letters: Iterable[Letter]) -> list[Letter]:
    """Return ``letters`` with their values, in their order, without those that are not there any more."""
    wanted: dict[TopicPartition, dict[int, Letter]] = {}
    for letter in letters:
        where = TopicPartition(letter.record.topic, letter.record.partition)
        wanted.setdefault(where, {})[letter.record.offset] = letter
    if not wanted:
        return []
    found: dict[tuple[int, int], Letter] = {}
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        for where, some in wanted.items():
            async for record in _between(consumer, where, start=min(some), last=max(some)):
                if record.offset in some:
                    found[where.partition, record.offset] = replace(some[record.offset], record=record)
    finally:
        await consumer.stop()
    places = [(where.partition, offset) for where, some in wanted.items() for offset in some]
    return [found[place] for place in places if place in found]


async def _between(
    consumer: AIOKafkaConsumer, where: TopicPartition, *, start: int, last: int
) -> AsyncIterator[ConsumerRecord]:
    consumer.assign([where])
    end = (await consumer.end_offsets([where]))[where]
    consumer.seek(where, start)
    while await consumer.position(where) < min(last + 1, end):
        for record in (await consumer.getmany(where, timeout_ms=200)).get(where, []):
            yield record


def parts_of(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Cut ``letters`` into what is held in memory and sent in one transaction at a time."""
    part: list[Letter] = []
    size = 0
    for letter in letters:
        if part and (len(part) >= _TRANSACTION_LETTERS or size + letter.size > _TRANSACTION_BYTES):
            yield part
            part, size = [], 0
        part.append(letter)
        size += letter.size
    if part:
        yield part


async def read_replayed(settings: Settings) -> dict[int, Replayed]:
    """Return for each partition what was replayed before."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        async for attempt in _until_coordinated():
            with attempt:
                found = await admin.list_consumer_group_offsets(replay_group(settings))
    finally:
        await admin.close()
    topic = settings.topics.dead_letters
    return {
        where.partition: Replayed.read(each.offset, each.metadata or "")
        for where, each in found.items()
        if where.topic == topic
    }


def _until_coordinated() -> AsyncRetrying:
    """A broker that never had a consumer group makes its offsets topic only now, which takes a moment."""
    return AsyncRetrying(
        retry=retry_if_exception_type(GroupCoordinatorNotAvailableError),
        stop=stop_after_delay(_COORDINATOR_S),
        wait=wait_fixed(0.1),
        reraise=True,
    )


def waiting(letters: Iterable[Letter], replayed: Mapping[int, Replayed], *, reasons: Iterable[str]) -> list[Letter]:
    """Return the letters to replay: not replayed before and, if ``reasons`` are given, for one of them."""
    wanted = set(reasons)
    return [
        letter
        for letter in letters
        if letter.record.offset not in replayed.get(letter.record.partition, Replayed())
        and (not wanted or wanted & {letter.facts.error, letter.facts.stage})
    ]


async def replay(client: Client, *, reasons: Iterable[str], sent: Callable[[int], None]) -> list[Letter]:
    """Send the waiting letters back and return them; ``sent`` hears of each transaction's number of letters.

    Raises:
        InvalidInput: If a topic that letters came from does not exist any more.
        LexstreamError: If another replay took over.
    """
    settings = client.settings
    producer = AIOKafkaProducer(
        **client_options(settings),
        transactional_id=f"{settings.group}-{settings.topics.dead_letters}-replay",
        max_request_size=settings.max_message_bytes * 5 // 2 + _OVERHEAD_BYTES,
    )
    await producer.start()
    try:
        # The first transaction fences every older replay; only then is it settled what was replayed before.
        await producer.begin_transaction()
        await producer.commit_transaction()
        letters = await read_letters(client)
        replayed = await read_replayed(settings)
        chosen = waiting(letters, replayed, reasons=reasons)
        partitions = await client.require_topics(sorted({letter.facts.topic for letter in chosen}))
        sender = _Sender(settings, producer, letters, replayed, partitions)
        for part in parts_of(chosen):
            whole = await with_values(settings, part)
            await sender.send(whole)
            sent(len(whole))
    finally:
        await producer.stop()
    return chosen


class _Sender:
    def __init__(
        self,
        settings: Settings,
        producer: AIOKafkaProducer,
        letters: list[Letter],
        replayed: dict[int, Replayed],
        partitions: Mapping[str, list[int]],
    ) -> None:
        self._topic = settings.topics.dead_letters
        self._group = replay_group(settings)
        self._producer = producer
        self._replayed = replayed
        self._partitions = partitions
        self._offsets: dict[int, list[int]] = {}
        for letter in letters:
            self._offsets.setdefault(letter.record.partition, []).append(letter.record.offset)

    async def send(self, letters: list[Letter]) -> None:
        """Send ``letters`` and what is known about them then, in one transaction."""
        touched = {letter.record.partition for letter in letters}
        after = {number: self._after(number, letters) for number in touched}
        offsets = {
            TopicPartition(self._topic, number): OffsetAndMetadata(each.first, each.metadata())
            for number, each in after.items()
        }
        async with self._producer.transaction():
            futures = [await self._enqueue(letter) for letter in letters]
            for future in futures:
                await future
            await self._producer.send_offsets_to_transaction(offsets, self._group)
        self._replayed.update(after)

    def _after(self, partition: int, letters: list[Letter]) -> Replayed:
        done = [letter.record.offset for letter in letters if letter.record.partition == partition]
        return self._replayed.get(partition, Replayed()).after(done, letters=self._offsets[partition])

    async def _enqueue(self, letter: Letter):  # type: ignore[no-untyped-def]
        record, facts = letter.record, letter.facts
        headers = [each for each in original_headers(record.headers) if each[0] != REPLAY_HEADER]
        where = f"{record.topic}/{record.partition}/{record.offset}".encode()
        partition = facts.partition if facts.partition in self._partitions[facts.topic] else None
        return await self._producer.send(
            facts.topic,
            record.value,
            key=record.key,
            partition=partition,
            headers=[*headers, (REPLAY_HEADER, where)],
        )
