"""Judges each message that the independent reader saw. Knows the protocol as it is documented, none of the worker."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.prove.events import (
    DEPLOYMENT,
    PARTITIONS,
    PROJECT,
    LaneName,
    Place,
    first_word,
    is_long,
    n_of_partition,
    poison,
)
from agents.prove.ledger import DEAD, Ledger
from agents.prove.switches import Switch, n_wrong

FAULTS: Final = {
    "lost": "lost",
    "duplicate": "visible duplicates",
    "reordered": "out of order in their partition",
    "wrongOutcome": "dead letters that should not be, or the other way round",
    "wrongAnswer": "answers that do not belong to their event",
    "wrongModel": "answered by another model than the log says",
    "unexpected": "outputs of no event of ours",
}
"""What may be wrong, each with how it is told."""
_EXAMPLES: Final = 5
_ERRORS: Final = "__connect.errors."
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the reader got it."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass
class Checker:
    """Counts what came out.

    Attributes:
        seed: Of the events.
        n_events: How many were or will be published.
        inputs: The lane of each input topic.
        faults: How often each of ``FAULTS`` was found.
        examples: The first of each.
        n_enriched: Enriched documents, duplicates included.
        n_long: Those that were too long for a window, once each.
        dead: Dead letters by error, duplicates included.
    """

    seed: int
    n_events: int
    inputs: Mapping[str, LaneName]
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
        headers = _text(message.headers)
        topic, partition, offset = headers.get("lexstream-source", "//").rsplit("/", 2)
        digest = headers.get("lexstream-model", "").removeprefix(f"{PROJECT}/{DEPLOYMENT}=")
        place = self._arrived(message, topic, _number(partition), _number(offset), digest)
        if place is None:
            return
        self.n_long += is_long(self.seed, place)
        if poison(self.seed, place):
            self._fault("wrongOutcome", f"{place.id} was enriched")
        elif problem := wrong_answer(message, place, digest):
            self._fault("wrongAnswer", f"{place.id}: {problem}")

    def dead_letter(self, message: Seen) -> None:
        """Judge a dead letter."""
        headers = _text(message.headers)
        topic, partition, offset, error = (
            headers.get(_ERRORS + name, "") for name in ("topic", "partition", "offset", "exception.class.name")
        )
        self.dead[error] += 1
        place = self._arrived(message, topic, _number(partition), _number(offset), DEAD)
        if place is None:
            return
        bad = poison(self.seed, place)
        if bad is None or bad.error != error:
            self._fault("wrongOutcome", f"{place.id} is a dead letter for {error}, not {bad.error if bad else 'any'}")
        elif message.key != place.id.encode() or message.value != (
            bad.value and bad.value.replace(b"%s", place.id.encode())
        ):
            self._fault("wrongAnswer", f"the dead letter of {place.id} has other bytes")

    def control_event(self, message: Seen) -> None:
        """Take a switch down; other control events mean nothing here."""
        event = json.loads(message.value or b"{}")
        if event.get("event") == "switched" and event.get("project") == PROJECT:
            details = event["details"]
            switch = Switch(details["offset"], details["to"])
            self.switches[details["topic"], details["partition"]].append(switch)

    def close(self) -> None:
        """Judge what only the end tells: what is lost, and who answered."""
        for (topic, partition), ledger in self.ledgers.items():
            for offset in ledger.close():
                self._fault("lost", f"{topic}/{partition}/{offset}")
            if wrong := n_wrong(ledger.runs, self.switches[topic, partition]):
                self._fault("wrongModel", f"{wrong} events of {topic}/{partition}", wrong)

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
        last = self._last.get((message.topic, topic, partition), -1)
        self._last[message.topic, topic, partition] = max(last, offset)
        if offset < last or message.partition != partition:
            self._fault("reordered", f"{where} after {last}, in partition {message.partition} of {message.topic}")
        return Place(self.inputs[topic], offset * PARTITIONS + partition)

    def _fault(self, name: str, example: str, count: int = 1) -> None:
        self.faults[name] += count
        if len(self.examples[name]) < _EXAMPLES:
            self.examples[name].append(example)


def wrong_answer(message: Seen, place: Place, digest: str) -> str | None:
    """Return what is wrong with an enriched document, if anything: the echo says the first word and who it is."""
    document = json.loads(message.value or b"{}")
    results = document.get("results", [])
    if message.key != place.id.encode() or document.get("id") != place.id:
        return f"it has the id {document.get('id')!r}"
    if len(results) != 1 or document.get("errors"):
        return f"it has {len(results)} results"
    if results[0]["model"]["digest"] != digest:
        return "the header names another model than the result"
    return _wrong_entity(document["text"], results[0]["entities"], place, digest)


def _wrong_entity(text: str, entities: Sequence[Any], place: Place, digest: str) -> str | None:
    if len(entities) != 1:
        return f"it has {len(entities)} entities"
    entity = entities[0]
    if entity["category"] != digest:
        return f"{entity['category']} answered, the header names {digest}"
    found = text[entity["offset"] : entity["offset"] + entity["length"]]
    return None if found == entity["text"] == first_word(place) else "its entity is of another text"


def _text(headers: Headers) -> dict[str, str]:
    return {name: (content or b"").decode("utf-8", "replace") for name, content in headers}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
