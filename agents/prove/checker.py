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
    ECHO_KIND,
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
    "unexpected": "outputs of no event of ours, or in another topic",
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


@dataclass(frozen=True, slots=True)
class Input:
    """An input topic.

    Attributes:
        lane: Whose it is.
        outputs: The topics in which what comes of its events has to be.
    """

    lane: LaneName
    outputs: frozenset[str]


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
    if entity["confidenceScore"] != 1:
        return f"it has a confidence of {entity['confidenceScore']}"
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
        inputs: The input topics.
        judge: Judges the results.
        kind: Of the project that is asked.
        project: That is asked.
        deployment: That is asked.
        broken: Says what is wrong with an event, if anything.
        moved: Told of each output of an input partition, and when it was written.
        switched: Told of each input partition that goes on with another model, and with which.
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
    inputs: Mapping[str, Input]
    judge: Judge = echoed
    kind: str = ECHO_KIND
    project: str = PROJECT
    deployment: str = DEPLOYMENT
    broken: Callable[[int, Place], Poison | None] = poison
    moved: Callable[[tuple[str, int], float], None] = lambda _place, _written: None
    switched: Callable[[tuple[str, int], str], None] = lambda _place, _digest: None
    commands: CommandBook = field(default_factory=CommandBook)
    sequences: dict[tuple[str, int], Bytes] = field(default_factory=lambda: defaultdict(Bytes))
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    n_enriched: int = 0
    n_long: int = 0
    dead: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ledgers = {
            (topic, partition): Ledger(n_of_partition(each.lane, partition, self.n_events))
            for topic, each in self.inputs.items()
            for partition in range(PARTITIONS)
        }
        self.switches: dict[tuple[str, int], list[Switch]] = defaultdict(list)
        self._result = {"project": self.project, "deployment": self.deployment, "kind": self.kind}
        self._answered = f"{self.project}/{self.deployment}="
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
        answered = headers.get("lexstream-model", "")
        digest = answered.removeprefix(self._answered) if answered.startswith(self._answered) else ""
        place = self._arrived(message, topic, _number(partition), _number(offset), digest)
        if place is None:
            return
        self.n_long += is_long(self.seed, place)
        if self.broken(self.seed, place):
            self.fault("wrongOutcome", f"{place.id} was enriched")
        elif problem := self._problem(message, place, headers, digest):
            self.fault("wrongAnswer", f"{place.id}: {problem}")

    def dead_letter(self, message: Seen) -> None:
        """Judge a dead letter."""
        headers = _text(message.headers)
        topic, partition, offset, error, stage = (headers.get(_ERRORS + name, "") for name in _FACTS)
        self.dead[error] += 1
        place = self._arrived(message, topic, _number(partition), _number(offset), DEAD)
        if place is None:
            return
        bad = self.broken(self.seed, place)
        if bad is None or (bad.error, bad.stage) != (error, stage):
            expected = f"{bad.error} ({bad.stage})" if bad else "any"
            self.fault("wrongOutcome", f"{place.id} is a dead letter for {error} ({stage}), not {expected}")
        elif not _same_bytes(message, place, bad, headers):
            self.fault("wrongAnswer", f"the dead letter of {place.id} has other bytes or headers")

    def control_event(self, message: Seen) -> None:
        """Take down what became of a switch or a command."""
        try:
            event = json.loads(message.value or b"{}")
            self.commands.event(event)
            if event.get("event") == "switched" and event.get("project") == self.project:
                details = event["details"]
                place, digest = (details["topic"], details["partition"]), str(details["to"])
                self.switches[place].append(Switch(index(details["offset"]), digest))
                self.switched(place, digest)
        except _UNREADABLE as error:
            self.fault("command", _unreadable("a control event", error))

    def registry_record(self, message: Seen) -> None:
        """Take a record of the registry down."""
        if not message.key or not message.value:
            return
        try:
            self.commands.record(message.key.decode(), json.loads(message.value))
        except _UNREADABLE as error:
            self.fault("command", _unreadable("a record of the registry", error))

    def compare(self, topic: str, seen: Mapping[int, Bytes]) -> None:
        """Hold what another reader saw of an output topic against what we saw."""
        for partition in range(PARTITIONS):
            if seen[partition] != (ours := self.sequences[topic, partition]):
                counts = f"{seen[partition].n_messages} messages, not {ours.n_messages}"
                self.fault("slowReader", f"{topic}/{partition}: {counts} of the same bytes")

    @property
    def cut_off(self) -> list[tuple[str, int]]:
        """The partitions whose last event never came out; known when it is closed."""
        return [place for place, ledger in self.ledgers.items() if ledger.cut_off]

    def close(self) -> None:
        """Judge what only the end tells: what is lost, and who answered."""
        for (topic, partition), ledger in self.ledgers.items():
            for offset in ledger.close():
                self.fault("lost", f"{topic}/{partition}/{offset}")
            if wrong := n_wrong(ledger.runs, self.switches[topic, partition]):
                self.fault("wrongModel", f"{wrong} events of {topic}/{partition}", wrong)
        for name, example in self.commands.faults():
            self.fault(name, example)

    def _arrived(self, message: Seen, topic: str, partition: int, offset: int, digest: str) -> Place | None:
        """Enter an output in its ledger; return its event if this is the first output of it."""
        ledger = self.ledgers.get((topic, partition))
        where = f"{topic}/{partition}/{offset}"
        if ledger is None or not 0 <= offset < ledger.n_expected or message.topic not in self.inputs[topic].outputs:
            self.fault("unexpected", f"{message.topic} has an output of {where}")
            return None
        if not ledger.note(offset, digest):
            self.fault("duplicate", f"{where} in {message.topic}")
            return None
        self.moved((topic, partition), message.written)
        last = self._last.get((message.topic, topic, partition), -1)
        self._last[message.topic, topic, partition] = max(last, offset)
        if offset < last or message.partition != partition:
            self.fault("reordered", f"{where} after {last}, in partition {message.partition} of {message.topic}")
        return Place(self.inputs[topic].lane, offset * PARTITIONS + partition)

    def _problem(self, message: Seen, place: Place, headers: Mapping[str, str], digest: str) -> str | None:
        try:
            return self._wrong_answer(message, place, headers, digest)
        except _UNREADABLE as error:
            return _unreadable("it", error)

    def _wrong_answer(self, message: Seen, place: Place, headers: Mapping[str, str], digest: str) -> str | None:
        document, event_id = json.loads(message.value or b"{}"), place.id
        results, source = document.get("results", []), document["source"]
        if message.key != event_id.encode() or document.get("id") != event_id or headers.get(HEADER) != event_id:
            return f"it has the id {document.get('id')!r}, or a key or header of another"
        if len(results) != 1 or document.get("errors"):
            return f"it has {len(results)} results"
        came_from = self.inputs[source["topic"]].lane, source["partition"], source["offset"]
        if came_from != (place.lane, place.partition, place.offset):
            return "it names another source than the header"
        if {name: results[0][name] for name in self._result} != self._result:
            return "its result is of another project, deployment or kind"
        if not digest or results[0]["model"]["digest"] != digest:
            return "the header names no model, or another than the result"
        return self.judge(self.seed, place, document, digest)

    def fault(self, name: str, example: str, count: int = 1) -> None:
        """Count one of ``FAULTS``."""
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
