"""What is known of the dead letters that were sent back: records of a compacted topic, written with what was sent.

A record tells of 8,192 offsets of a partition which of them were replayed. It does not expire, as the offsets of a
consumer group do after a week, and whatever is left out by a filter costs no more than what is sent.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from agents.client import Client
from agents.copies import WANTED
from agents.kafka import client_options
from agents.letters import Letter
from agents.settings import Settings
from agents.topic_admin import PAUSE_S, SPREAD_S, TopicAdmin
from schemas.errors import InvalidInput, LexstreamError, TopicMissing

CHUNK = 8192
_SEGMENT_MS = "3600000"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Which of some offsets were replayed, as bits, and the time of the newest of these letters.

    No letter is newer than the newest that was replayed and yet one of them: unless the topic was made anew.
    """

    bits: int = 0
    newest_ms: int = -1

    def with_letter(self, letter: Letter) -> "Chunk":
        """Return what holds when ``letter`` was replayed, too."""
        record = letter.record
        return Chunk(self.bits | 1 << record.offset % CHUNK, max(self.newest_ms, record.timestamp))


Key = tuple[int, int]


class Replayed:
    """The letters that were replayed."""

    def __init__(self) -> None:
        self._chunks: dict[Key, Chunk] = {}

    def read(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the topic.

        Raises:
            LexstreamError: If it is not one of ours.
        """
        try:
            partition, first = (int(part) for part in (key or b"").decode().split("/"))
            record = orjson.loads(value or b"")
            bits = sum((1 << last - start + 1) - 1 << start - first for start, last in record["replayed"])
            self._chunks[partition, first // CHUNK] = Chunk(bits, int(record["newestMs"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LexstreamError(f"a record of what was replayed cannot be read: {type(error).__name__}") from error

    def __contains__(self, letter: object) -> bool:
        return isinstance(letter, Letter) and self._has(letter) and not self.stale(letter)

    def stale(self, letter: Letter) -> bool:
        """Whether what is known is of another letter, which stood there before the topic was made anew."""
        return self._has(letter) and letter.record.timestamp > self._chunk(letter).newest_ms

    def after(self, letters: Iterable[Letter]) -> "Replayed":
        """Return what is new when ``letters`` were replayed, too: only the chunks that change."""
        changed = Replayed()
        for letter in letters:
            chunk = changed._chunks.get(_key(letter)) or self._chunk(letter)
            changed._chunks[_key(letter)] = chunk.with_letter(letter)
        return changed

    def copy(self) -> "Replayed":
        """Return what is known now, whatever is learnt later."""
        made = Replayed()
        made.update(self)
        return made

    def update(self, changed: "Replayed") -> None:
        """Take over what is new."""
        self._chunks |= changed._chunks

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the records to write, keys and values."""
        for (partition, number), chunk in self._chunks.items():
            first = number * CHUNK
            ranges = [[first + start, first + last] for start, last in _ranges(chunk.bits)]
            yield f"{partition}/{first}".encode(), orjson.dumps({"replayed": ranges, "newestMs": chunk.newest_ms})

    def _has(self, letter: Letter) -> bool:
        return bool(self._chunk(letter).bits >> letter.record.offset % CHUNK & 1)

    def _chunk(self, letter: Letter) -> Chunk:
        return self._chunks.get(_key(letter), _NOTHING)


_NOTHING = Chunk()


def _key(letter: Letter) -> Key:
    return letter.record.partition, letter.record.offset // CHUNK


def _ranges(bits: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last position of each run of ones."""
    position = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & bits + 1).bit_length() - 1
        yield position + zeros, position + zeros + ones - 1
        bits >>= ones
        position += zeros + ones


async def existing_topics(settings: Settings) -> dict[str, list[int]]:
    """Return how often each partition is kept, of all topics that we may see. Asking by name might make them."""
    async with TopicAdmin(settings) as admin:
        return await admin.visible()


async def look_up_replayed(client: Client) -> Replayed:
    """Return what was replayed before; nothing as long as the node that is asked knows of no topic that says so.

    To look at, not to act on: the node may not have heard yet of a topic that was just made.
    """
    if client.settings.topics.replays not in await existing_topics(client.settings):
        return Replayed()
    return await read_replayed(client)


async def read_replayed(client: Client) -> Replayed:
    """Return what was replayed before, from the topic that says so, which was made; waits for it to be known.

    Raises:
        TopicMissing: If the topic is not there.
        InvalidInput: If Kafka does not let us see it.
    """
    end = time.monotonic() + SPREAD_S
    while True:
        try:
            return await _read(client)
        except TopicMissing:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(PAUSE_S)


async def _read(client: Client) -> Replayed:
    known = Replayed()
    async for record in client.snapshot([client.settings.topics.replays]):
        known.read(record.key, record.value)
    return known


async def create_replays(settings: Settings) -> None:
    """Make the topic that says what was replayed, kept as often as the dead letters are, if it is missing.

    Where nobody tells how often these are, it is kept as often as a topic that `topics create` makes.

    Raises:
        InvalidInput: If Kafka refuses it, with what to do.
    """
    topics, there = settings.topics, await existing_topics(settings)
    if topics.replays in there:
        return
    async with TopicAdmin(settings) as asked:
        kept = min(there.get(topics.dead_letters) or [min(WANTED, await asked.n_brokers())])
    safe = {"min.insync.replicas": "2"} if kept > 2 else {}  # noqa: PLR2004 - as for all our topics
    config = {"cleanup.policy": "compact", "segment.ms": _SEGMENT_MS, **safe}
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topics.replays, 1, kept, topic_configs=config)])
    finally:
        await admin.close()
    error = for_code(answer.topic_errors[0][1])
    if error not in {NoError, TopicAlreadyExistsError}:
        said = f"topic {topics.replays}, which says what was replayed, cannot be made: {error.__name__}"
        raise InvalidInput([f"{said}; make it, with 1 partition and cleanup.policy compact"])
