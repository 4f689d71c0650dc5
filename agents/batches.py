"""What Kafka hands out in batches, read so that no batch can stop its partition or fill the memory.

A broker checks neither what a compressed batch expands to (a megabyte of zstd may hold gigabytes) nor the names of
headers. aiokafka expands whatever it gets, and stops for ever at what it cannot read. ``guard_batches`` changes that
for every consumer of this process: what cannot be read, or is too large, comes out as records without content, each
with its offset, whose ``checksum`` (always ``None`` in the record format of today) is the error that says why.
"""

import importlib
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cramjam
from aiokafka.codec import snappy_decode
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from schemas.errors import EventError, UnreadableRecord

logger = logging.getLogger(__name__)

BATCH_EVENTS: Final = 4
"""How many events of the largest size a batch may hold, and one poll hand out of a partition."""
_RECORD_MODULES: Final = ("default_records", "legacy_records")
_READERS: Final = ("aiokafka.record", "aiokafka.record._crecords")
_GZIP: Final = 31
"""What zlib calls a stream with gzip's header."""
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16

Expand = Callable[[Any], bytes]


class _TooLarge(Exception):
    """A batch expands to more than it may."""


def guard_batches(max_event_bytes: int) -> None:
    """Let no consumer of this process stop at a batch, or expand one beyond a few events of the largest size.

    NOTE: aiokafka has no place for this. Its fetcher looks these names up whenever it needs them; the version is
    pinned exactly, and the tests notice when they are gone.
    """
    limit = BATCH_EVENTS * max_event_bytes
    for package in _READERS:
        for name in _RECORD_MODULES:
            module = importlib.import_module(f"{package}.{name}")
            for codec, expand in bounded_codecs(limit).items():
                setattr(module, f"{codec}_decode", expand)
    fetcher.MemoryRecords = partial(GuardedRecords, budget=limit)


def why_unreadable(record: Any) -> EventError | None:
    """Return why a record comes without its content, or ``None`` for one that is whole."""
    why = getattr(record, "checksum", None)
    return why if isinstance(why, EventError) else None


class GuardedRecords:
    """The batches of a fetch.

    Args:
        data: What the broker sent.
        budget: Bytes after which the rest is left for the next fetch.
    """

    def __init__(self, data: bytes, *, budget: int) -> None:
        self._records = MemoryRecords(data)
        self._left = budget

    def size_in_bytes(self) -> int:
        """Return the size of what the broker sent."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Tell whether there is another batch that may be handed out now."""
        return self._left > 0 and bool(self._records.has_next())

    def next_batch(self) -> "GuardedBatch":
        """Return the next batch."""
        return GuardedBatch(self._records.next_batch(), spend=self._spend)

    def _spend(self, n_bytes: int) -> None:
        self._left -= n_bytes


class GuardedBatch:
    """A batch that always has a record for each offset."""

    def __init__(self, batch: Any, *, spend: Callable[[int], None]) -> None:
        self._batch = batch
        self._spend = spend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # the marker of a transaction, which the broker wrote

    def __iter__(self) -> Iterator[Any]:
        n_bytes = 0
        for record in self._read():
            n_bytes += len(record.key or b"") + len(record.value or b"")
            yield record
        self._spend(n_bytes)  # nobody asks for the next batch before the end of this one

    def _read(self) -> Iterator[Any]:
        expected = self._batch.base_offset
        try:
            for record in self._batch:
                expected = record.offset + 1
                yield record
        except MemoryError:  # ours, not the batch's: its events are as good as before
            raise
        except Exception as error:
            yield from self._unread(expected, error)

    def _unread(self, first: int, error: Exception) -> "Iterator[_Unread]":
        # An error's own words may quote the batch.
        why = str(error) if isinstance(error, _TooLarge) else f"the client cannot read it ({type(error).__name__})"
        last = self._batch.next_offset - 1
        logger.warning(
            "the records at offsets %d to %d come without content: %s", first, last, why, extra={"action": "unreadable"}
        )
        problem = UnreadableRecord(why)
        for offset in range(first, last + 1):
            yield _Unread(offset, self._batch.max_timestamp, self._batch.timestamp_type, problem)


@dataclass(frozen=True, slots=True)
class _Unread:
    """What stands for a record that cannot be read."""

    offset: int
    timestamp: int
    timestamp_type: int
    checksum: EventError
    key: None = None
    value: None = None
    headers: tuple[()] = ()


def bounded_codecs(limit: int) -> dict[str, Expand]:
    """Return what expands each of Kafka's compressions, to ``limit`` bytes and not one more."""
    return {
        "gzip": partial(_gunzip, limit=limit),
        "snappy": partial(_unsnappy, limit=limit),
        "lz4": partial(_expand_into, cramjam.lz4.decompress_into, limit=limit),
        "zstd": partial(_expand_into, cramjam.zstd.decompress_into, limit=limit),
    }


def _too_large(limit: int) -> _TooLarge:
    return _TooLarge(f"its batch expands to more than {limit} bytes")


def _gunzip(payload: Any, *, limit: int) -> bytes:
    rest, found, n_bytes = bytes(payload), [], 0
    while rest:
        member = zlib.decompressobj(wbits=_GZIP)
        found.append(member.decompress(rest, limit + 1 - n_bytes))
        n_bytes += len(found[-1])
        if n_bytes > limit:
            raise _too_large(limit)
        if not member.eof:
            raise EOFError("cut off")
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(found)


def _expand_into(expand: Callable[[Any, Any], int], payload: Any, *, limit: int) -> bytes:
    import numpy as np  # commands guard their clients, too, and seldom come here

    # Memory that was not written to is not taken.
    room = np.empty(limit, dtype=np.uint8)
    try:
        n_bytes = expand(payload, room)
    except cramjam.DecompressionError as error:
        raise _too_large(limit) if "whole buffer" in str(error) else error from None
    return room[:n_bytes].tobytes()


def _unsnappy(payload: Any, *, limit: int) -> bytes:
    data = bytes(payload)
    if sum(map(cramjam.snappy.decompress_raw_len, _snappy_blocks(data))) > limit:
        raise _too_large(limit)
    return bytes(snappy_decode(data))


def _snappy_blocks(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_XERIAL):
        yield data
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        if size < 0:
            raise ValueError("a block of less than nothing")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
