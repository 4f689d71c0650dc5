"""Dead letters: the original bytes, with headers that say where they came from and what was wrong.

The names of the headers are Kafka Connect's, so that tools which know its dead-letter queues know these. All values
are text in UTF-8; numbers are written in decimal.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

from schemas.errors import DecodeError, EventError

PREFIX = "__connect.errors."
MAX_MESSAGE_CHARS = 500

REPLAYED_FROM = "lexstream-replayed-from"
"""Header of an event that was sent back: topic, partition and offset of its dead letter."""
REPLAY_ATTEMPTS = "lexstream-replay-attempts"
"""Header of an event that was sent back: how often by now."""

E = TypeVar("E", bound=EventError)
Headers = list[tuple[str, bytes]]

_NAMES = ("topic", "partition", "offset", "timestamp", "stage", "exception.class.name", "exception.message")


def original_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Return a dead letter's ``headers`` without those that were added, in their order: what a replay sends.

    Of each name the last one was added; an event that was somebody else's dead letter before keeps what it had.
    """
    kept = list(headers)
    for added in (PREFIX + name for name in _NAMES):
        last = next((place for place in reversed(range(len(kept))) if kept[place][0] == added), None)
        if last is not None:
            del kept[last]
    return kept


def without_content(error: E) -> E:
    """Return an error for a dead letter that cannot have the event's content, too."""
    return type(error)(f"{error}; key, value and headers are left out, they are only where the event was")


def dead_letter_headers(
    headers: Iterable[tuple[str, bytes]],
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    error: EventError,
) -> Headers:
    """Return the headers of a dead letter: the original ones in their order, then what went wrong where."""
    values = (
        topic,
        str(partition),
        str(offset),
        str(timestamp_ms),
        error.stage,
        type(error).__name__,
        str(error)[:MAX_MESSAGE_CHARS],
    )
    added = [
        (PREFIX + name, value.encode("utf-8", errors="replace")) for name, value in zip(_NAMES, values, strict=True)
    ]
    return [*headers, *added]


def replay_headers(headers: Iterable[tuple[str, bytes]], *, letter: str) -> Headers:
    """Return the headers of an event that is sent back: the original ones, then which letter and how often.

    Args:
        headers: Of the dead letter.
        letter: Its topic, partition and offset, as ``topic/partition/offset``.
    """
    kept = list(headers)
    ours = {REPLAYED_FROM: letter, REPLAY_ATTEMPTS: str(replay_attempts(kept) + 1)}
    original = [each for each in original_headers(kept) if each[0] not in ours]
    return [*original, *((name, value.encode()) for name, value in ours.items())]


def is_replayed(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Tell whether an event was sent back."""
    return any(name == REPLAYED_FROM for name, _ in headers)


def replay_attempts(headers: Iterable[tuple[str, bytes]]) -> int:
    """Return how often an event was sent back before; 0 where the header is no such number."""
    found = [value or b"" for name, value in headers if name == REPLAY_ATTEMPTS]
    return int(found[-1]) if found and re.fullmatch(rb"[0-9]{1,9}", found[-1]) else 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a dead letter came from and why it is one."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    stage: str
    error: str
    message: str

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> Self:
        """Read the headers that ``dead_letter_headers`` wrote.

        Raises:
            DecodeError: If one of them is missing, or no number where one is expected.
        """
        found = {
            name.removeprefix(PREFIX): (value or b"").decode("utf-8", errors="replace")
            for name, value in headers
            if name.startswith(PREFIX)
        }
        if missing := [PREFIX + name for name in _NAMES if name not in found]:
            raise DecodeError(f"not a dead letter: expected the headers {', '.join(missing)}")
        topic, partition, offset, timestamp, *rest = (found[name] for name in _NAMES)
        try:
            return cls(topic, int(partition), int(offset), int(timestamp), *rest)
        except ValueError:
            raise DecodeError(
                f"not a dead letter: expected numbers in {PREFIX}partition, .offset and .timestamp"
            ) from None
