"""What is published, and what has to come of each event. Pure: a function of the seed and the event's number."""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PROJECT: Final = "prove"
DEPLOYMENT: Final = "production"
PARTITIONS: Final = 4
ECHO_KIND: Final = "CustomEntityRecognition"
"""Of the project that the echo serves."""
BREAKS: Final = "breaks-the-model"
"""The model fails on a text with this word."""
HEADER: Final = "prove-id"
"""A header of every event, with its id; whatever comes of the event has to bear it, too."""
_INTERACTIVE_EVERY: Final = 8
_POISON_PERMILLE: Final = 20
_LONG_EVERY: Final = 2000
_LONG_CHARS: Final = 20_000
_WORDS: Final = " of a loan agreement between the bank and its customer"


class LaneName(StrEnum):
    """The two lanes."""

    BULK = "bulk"
    INTERACTIVE = "interactive"


_STAGES: Final = {"DecodeError": "decode", "InvalidEvent": "validate", "TasksFailed": "model", "ModelError": "model"}


@dataclass(frozen=True, slots=True)
class Poison:
    """An event that must become a dead letter.

    Attributes:
        value: What is published; ``%s`` stands for the event's id.
        error: The class that the dead letter names.
    """

    value: bytes | None
    error: str

    @property
    def stage(self) -> str:
        """Where it fails."""
        return _STAGES[self.error]


POISONS: Final = (
    Poison(b'{"id": "%s", "text"', "DecodeError"),
    Poison(b'\xff\xfe "%s"', "DecodeError"),
    Poison(None, "DecodeError"),
    Poison(b"", "DecodeError"),
    Poison(b'["%s"]', "DecodeError"),
    Poison(b'{"id": "%s"}', "InvalidEvent"),
    Poison(b'{"id": "%s", "text": " "}', "InvalidEvent"),
    Poison(b'{"id": "%s", "text": "half a pair: \\ud800"}', "InvalidEvent"),
    Poison(b'{"id": "%s", "text": "who?", "tasks": [{"project": "prove", "deployment": "none"}]}', "TasksFailed"),
    Poison(b'{"id": "%s", "text": "this ' + BREAKS.encode() + b'"}', "ModelError"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: the ``number``-th of its lane."""

    lane: LaneName
    number: int

    @property
    def id(self) -> str:
        """The document's id, which is also its key."""
        return f"{self.lane}/{self.number}"

    @property
    def partition(self) -> int:
        """The partition that it is published to."""
        return self.number % PARTITIONS

    @property
    def offset(self) -> int:
        """Its offset there, for the topic is new and nobody else writes to it."""
        return self.number // PARTITIONS


def places(n_events: int) -> Iterator[Place]:
    """Return the events in the order in which they are published."""
    for at in range(n_events):
        round_, within = divmod(at, _INTERACTIVE_EVERY)
        if within == _INTERACTIVE_EVERY - 1:
            yield Place(LaneName.INTERACTIVE, round_)
        else:
            yield Place(LaneName.BULK, at - round_)


def n_of_lane(lane: LaneName, n_events: int) -> int:
    """Return how many of the events go to a lane."""
    n_interactive = n_events // _INTERACTIVE_EVERY
    return n_interactive if lane is LaneName.INTERACTIVE else n_events - n_interactive


def n_of_partition(lane: LaneName, partition: int, n_events: int) -> int:
    """Return how many of the events go to one partition of a lane."""
    return (n_of_lane(lane, n_events) - partition + PARTITIONS - 1) // PARTITIONS


def first_word(place: Place) -> str:
    """Return the first word of an event's text: what the echo has to find."""
    return f"Document-{place.lane}-{place.number}"


def poison(seed: int, place: Place) -> Poison | None:
    """Return what is wrong with an event, if anything."""
    return _poison(draw(seed, place))


def is_long(seed: int, place: Place) -> bool:
    """Whether an event's text is too long for a window."""
    return _is_long(draw(seed, place))


def echo_text(seed: int, place: Place) -> str:
    """Return a text for the echo to read."""
    drawn = draw(seed, place)
    n_words = _LONG_CHARS // len(_WORDS) + 1 if _is_long(drawn) else 1 + drawn // 7 % 6
    return first_word(place) + _WORDS * n_words


def value(seed: int, place: Place, *, text_of: Callable[[int, Place], str] = echo_text) -> bytes | None:
    """Return what is published; a good event says what ``text_of`` gives."""
    if bad := poison(seed, place):
        return bad.value and bad.value.replace(b"%s", place.id.encode())
    return json.dumps({"id": place.id, "text": text_of(seed, place)}).encode()


def draw(seed: int, place: Place) -> int:
    """Return a number that decides what an event is."""
    return zlib.crc32(f"{seed}/{place.id}".encode())


def _poison(drawn: int) -> Poison | None:
    return POISONS[drawn // 1000 % len(POISONS)] if drawn % 1000 < _POISON_PERMILLE else None


def _is_long(drawn: int) -> bool:
    return drawn % _LONG_EVERY == _LONG_EVERY - 1 and _poison(drawn) is None
