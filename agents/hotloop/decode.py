"""Bytes of an input topic to what the loop works with. What is wrong with an event is an outcome, not an exception."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.documents import DocumentEvent
from schemas.errors import EventError, InvalidEvent

CHARS_A_TOKEN = 4
LEAST_TOKENS = 8
"""What the shortest document counts for: the pass itself costs something."""


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
        content = self._content(record.value)
        n_chars = 0 if isinstance(content, EventError) else len(content.text)
        # The value's bytes and the text made of them are both held.
        n_bytes = len(record.value or b"") + len(record.key or b"") + n_chars
        return Item(record, content, max(LEAST_TOKENS, n_chars // CHARS_A_TOKEN), n_bytes, self._arrivals)

    def _content(self, value: bytes | None) -> DocumentEvent | EventError:
        if value is not None and len(value) > self._max_bytes:
            return InvalidEvent(f"the event has {len(value)} bytes, expected at most {self._max_bytes}")
        try:
            return self._codec.decode(value)
        except EventError as error:
            # Nobody needs the frames, and they would hold the value a second time.
            return error.with_traceback(None)
