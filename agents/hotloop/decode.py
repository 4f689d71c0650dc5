"""Bytes of an input topic to what the loop works with. What is wrong with an event is an outcome, not an exception."""

import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from agents.batches import why_unreadable
from schemas.dead_letters import without_content
from schemas.documents import DocumentEvent
from schemas.errors import EventError, OversizedEvent

CHARS_A_TOKEN = 4
LEAST_TOKENS = 8
"""What the shortest document counts for: the pass itself costs something."""
_VALUE_BYTES = 64
"""What a value of the metadata takes in memory, roughly; each but the last is followed by a comma."""


class Record(Protocol):
    """A message as the consumer hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Codec(Protocol):
    """What reads document events."""

    def decode(self, value: bytes | None) -> DocumentEvent:
        """Return the event, or raise an EventError."""


class Item(NamedTuple):
    """An event that waits for its window, or what was wrong with it."""

    record: Record
    content: DocumentEvent | EventError
    n_tokens: int
    n_bytes: int
    arrival: int


class Decoder:
    """Makes items of records, numbered in the order of their arrival."""

    def __init__(self, codec: Codec, *, max_bytes: int) -> None:
        self._codec = codec
        self._max_bytes = max_bytes
        self._arrivals = 0

    def __call__(self, record: Record) -> Item:
        """Return the record with its event; never raises for what the record contains."""
        self._arrivals += 1
        n_bytes = _size(record)
        content = self._content(record, n_bytes)
        n_chars = 0
        if isinstance(content, DocumentEvent):
            n_chars = len(content.text)
            # The bytes and what was made of them are both held; a text may take four bytes a character.
            n_bytes += sys.getsizeof(content.text)
            if content.metadata and record.value:
                n_bytes += _VALUE_BYTES * record.value.count(b",")
        return Item(record, content, max(LEAST_TOKENS, n_chars // CHARS_A_TOKEN), n_bytes, self._arrivals)

    def _content(self, record: Record, n_bytes: int) -> DocumentEvent | EventError:
        if why := why_unreadable(record):
            return without_content(why)
        if n_bytes > self._max_bytes:
            return OversizedEvent(f"the event has {n_bytes} bytes, expected at most {self._max_bytes}")
        try:
            return self._codec.decode(record.value)
        except EventError as error:
            # Nobody needs the frames, and they would hold the value a second time.
            return error.with_traceback(None)


def _size(record: Record) -> int:
    n_bytes = len(record.value or b"") + len(record.key or b"")
    for name, content in record.headers:
        n_bytes += len(name) + len(content or b"")
    return n_bytes
