"""Judges each message that the independent reader saw. Knows the protocol as it is documented, none of the worker."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, Final

from agents.prove.commands import CommandBook
from agents.prove.events import (
    DEPLOYMENT,
    HEADER,
    PARTITIONS,
    PROJECT,
    LaneName,
    Place,
    Poison,
    echo_text,
    first_word,
    is_long,
    n_of_partition,
    poison,
)
from agents.prove.ledger import DEAD, Ledger
from agents.prove.sequence import Sequence as Bytes
from agents.prove.switches import Switch, n_wrong

FAULTS: Final = {
    "lost": "lost",
    "duplicate": "visible duplicates",
    "reordered": "out of order in their partition",
    "wrongOutcome": "dead letters that should not be, or the other way round",
    "wrongAnswer": "answers that do not belong to their event",
    "wrongModel": "answered by another model than the log says",
    "unexpected": "outputs of no event of ours",
    "command": "commands that had another effect than one",
    "job": "trainings that did not end in one model",
    "slowReader": "partitions that a slow reader saw otherwise",
}
"""What may be wrong, each with how it is told."""
_EXAMPLES: Final = 5
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What comes of looking into a message that is not as documented; it is counted, and the proof goes on."""
_OFFSET_DIGITS: Final = 19
_ERRORS: Final = "__connect.errors."
_FACTS: Final = ("topic", "partition", "offset", "exception.class.name", "stage")
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the reader got it; ``written`` is its record's time, in seconds since 1970."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    written: float = 0.0


Judge = Callable[[int, Place, Mapping[str, Any], str], str | None]
"""Says what is wrong with a result, if anything: the seed, of which event, the document, the digest of the model."""


def echoed(seed: int, place: Place, document: Mapping[str, Any], digest: str) -> str | None:
    """Say what is wrong with an answer of the echo, which finds the first word and says who it is."""
    entities, text = document["results"][0]["entities"], document["text"]
    if text != echo_text(seed, place):
        return "it has another text"
    if len(entities) != 1:
        return f"it has {len(entities)} entities"
    entity = entities[0]
    if entity["category"] != digest:
        return f"{entity['category']} answered, the header names {digest}"
    found = text[entity["offset"] : entity["offset"] + entity["length"]]
    return None if found == entity["text"] == first_word(place) else "its entity is of another text"


@dataclass
class Checker:
    """Counts what came out.

    Attributes:
        seed: Of the events.
        n_events: How many were or will be published.
        inputs: The lane of each input topic.
        judge: Judges the results.
        moved: Told of each output of an input partition, and when it was written.
        commands: What became of the commands.
        sequences: What was seen of each output partition.
        faults: How often each of ``FAULTS`` was found.
        examples: The first of each.
        n_enriched: Enriched documents, duplicates included.
        n_long: Those that were too long for a window, once each.
        dead: Dead letters by error, duplicates included.
    """

    seed: int
    n_events: int
    inputs: Mapping[str, LaneName]
    judge: Judge = echoed
    moved: Callable[[tuple[str, int], float], None] = lambda _place, _written: None
    commands: CommandBook = field(default_factory=CommandBook)
    sequences: dict[tuple[str, int], Bytes] = field(default_factory=lambda: defaultdict(Bytes))
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    n_enriched: int = 0
    n_long: int = 0
    dead: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ledgers = {
            (topic, partition): Ledger(n_of_partition(lane, partition, self.n_events))
            for topic, lane in self.inputs.items()
            for partition in range(PARTITIONS)
        }
        self.switches: dict[tuple[str, int], list[Switch]] = defaultdict(list)
        self._last: dict[tuple[str, str, int], int] = {}

    @property
    def n_seen(self) -> int:
        """How many different events came out."""
        return sum(ledger.n_seen for ledger in self.ledgers.values())

    @property
    def complete(self) -> bool:
        """Whether every event came out."""
        return all(ledger.complete for ledger in self.ledgers.values())

    def enriched(self, message: Seen) -> None:
        """Judge a message of an output topic."""
        self.n_enriched += 1
        self.sequences[message.topic, message.partition].add(message.value)
        headers = _text(message.headers)
        source, _, offset = headers.get("lexstream-source", "").rpartition("/")
        topic, _, partition = source.rpartition("/")
        digest = headers.get("lexstream-model", "").removeprefix(f"{PROJECT}/{DEPLOYMENT}=")
        place = self._arrived(message, topic, _number(partition), _number(offset), digest)
        if place is None:
            return
        self.n_long += is_long(self.seed, place)
        if poison(self.seed, place):
            self._fault("wrongOutcome", f"{place.id} was enriched")
        elif problem := self._problem(message, place, headers, digest):
            self._fault("wrongAnswer", f"{place.id}: {problem}")

    def dead_letter(self, message: Seen) -> None:
        """Judge a dead letter."""
        headers = _text(message.headers)
        topic, partition, offset, error, stage = (headers.get(_ERRORS + name, "") for name in _FACTS)
        self.dead[error] += 1
        place = self._arrived(message, topic, _number(partition), _number(offset), DEAD)
        if place is None:
            return
        bad = poison(self.seed, place)
        if bad is None or (bad.error, bad.stage) != (error, stage):
            expected = f"{bad.error} ({bad.stage})" if bad else "any"
            self._fault("wrongOutcome", f"{place.id} is a dead letter for {error} ({stage}), not {expected}")
        elif not _same_bytes(message, place, bad, headers):
            self._fault("wrongAnswer", f"the dead letter of {place.id} has other bytes or headers")

    def control_event(self, message: Seen) -> None:
        """Take down what became of a switch or a command."""
        try:
            event = json.loads(message.value or b"{}")
            self.commands.event(event)
            if event.get("event") == "switched" and event.get("project") == PROJECT:
                details = event["details"]
                switch = Switch(index(details["offset"]), str(details["to"]))
                self.switches[details["topic"], details["partition"]].append(switch)
        except _UNREADABLE as error:
            self._fault("command", _unreadable("a control event", error))

    def registry_record(self, message: Seen) -> None:
        """Take a record of the registry down."""
        if not message.key or not message.value:
            return
        try:
            self.commands.record(message.key.decode(), json.loads(message.value))
        except _UNREADABLE as error:
            self._fault("command", _unreadable("a record of the registry", error))

    def compare(self, topic: str, seen: Mapping[int, Bytes]) -> None:
        """Hold what another reader saw of an output topic against what we saw."""
        for partition in range(PARTITIONS):
            if seen[partition] != (ours := self.sequences[topic, partition]):
                counts = f"{seen[partition].n_messages} messages, not {ours.n_messages}"
                self._fault("slowReader", f"{topic}/{partition}: {counts} of the same bytes")

    @property
    def cut_off(self) -> list[tuple[str, int]]:
        """The partitions whose last event never came out; known when it is closed."""
        return [place for place, ledger in self.ledgers.items() if ledger.cut_off]

    def close(self) -> None:
        """Judge what only the end tells: what is lost, and who answered."""
        for (topic, partition), ledger in self.ledgers.items():
            for offset in ledger.close():
                self._fault("lost", f"{topic}/{partition}/{offset}")
            if wrong := n_wrong(ledger.runs, self.switches[topic, partition]):
                self._fault("wrongModel", f"{wrong} events of {topic}/{partition}", wrong)
        for name, example in self.commands.faults():
            self._fault(name, example)

    def _arrived(self, message: Seen, topic: str, partition: int, offset: int, digest: str) -> Place | None:
        """Enter an output in its ledger; return its event if this is the first output of it."""
        ledger = self.ledgers.get((topic, partition))
        where = f"{topic}/{partition}/{offset}"
        if ledger is None or not 0 <= offset < ledger.n_expected:
            self._fault("unexpected", f"{message.topic} has an output of {where}")
            return None
        if not ledger.note(offset, digest):
            self._fault("duplicate", f"{where} in {message.topic}")
            return None
        self.moved((topic, partition), message.written)
        last = self._last.get((message.topic, topic, partition), -1)
        self._last[message.topic, topic, partition] = max(last, offset)
        if offset < last or message.partition != partition:
            self._fault("reordered", f"{where} after {last}, in partition {message.partition} of {message.topic}")
        return Place(self.inputs[topic], offset * PARTITIONS + partition)

    def _problem(self, message: Seen, place: Place, headers: Mapping[str, str], digest: str) -> str | None:
        try:
            return self._wrong_answer(message, place, headers, digest)
        except _UNREADABLE as error:
            return _unreadable("it", error)

    def _wrong_answer(self, message: Seen, place: Place, headers: Mapping[str, str], digest: str) -> str | None:
        document, event_id = json.loads(message.value or b"{}"), place.id
        results = document.get("results", [])
        if message.key != event_id.encode() or document.get("id") != event_id or headers.get(HEADER) != event_id:
            return f"it has the id {document.get('id')!r}, or a key or header of another"
        if len(results) != 1 or document.get("errors"):
            return f"it has {len(results)} results"
        if results[0]["model"]["digest"] != digest:
            return "the header names another model than the result"
        return self.judge(self.seed, place, document, digest)

    def _fault(self, name: str, example: str, count: int = 1) -> None:
        self.faults[name] += count
        if len(self.examples[name]) < _EXAMPLES:
            self.examples[name].append(example)


def _same_bytes(message: Seen, place: Place, bad: Poison, headers: Mapping[str, str]) -> bool:
    published = bad.value and bad.value.replace(b"%s", place.id.encode())
    same_key = message.key == place.id.encode() == headers.get(HEADER, "").encode()
    return same_key and message.value == published


def _text(headers: Headers) -> dict[str, str]:
    return {name: (content or b"").decode("utf-8", "replace") for name, content in headers}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _OFFSET_DIGITS else -1


def _unreadable(what: str, error: Exception) -> str:
    """Name only the class of the error: its message may quote the message."""
    return f"{what} cannot be read ({type(error).__name__})"
