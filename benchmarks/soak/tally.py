"""Counts what an independent reader saw, and how long each answer took. Knows the protocol, none of the worker."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agents.prove.checker import Seen
from agents.prove.events import PARTITIONS, LaneName, Place
from agents.prove.ledger import DEAD, Ledger
from agents.prove.switches import Switch, n_wrong
from benchmarks.soak.events import Traffic

FAULTS = {
    "lost": "lost",
    "doubled": "doubled",
    "reordered": "out of order in their partition",
    "wrongOutcome": "dead letters that should not be, or the other way round",
    "wrongAnswer": "answers that do not belong to their event",
    "wrongModel": "answered by another model than the log says",
    "unexpected": "outputs of no event of ours",
}
_EXAMPLES = 5
_ERRORS = "__connect.errors."
_MOST_EVENTS = 10**9


@dataclass
class Tally:
    """What came out. The reader's thread writes, others may read.

    Attributes:
        traffic: What was published.
        task: PROJECT/DEPLOYMENT that documents ask.
        inputs: The lane of each input topic.
        latencies: Seconds from publishing to reading, by minute and kind of document.
    """

    traffic: Traffic
    task: str
    inputs: Mapping[str, LaneName]
    clock: Callable[[], float] = time.time
    began: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    n_enriched: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    latencies: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    switches: dict[tuple[str, int], list[Switch]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.ledgers = {
            (topic, partition): Ledger(_MOST_EVENTS) for topic in self.inputs for partition in range(PARTITIONS)
        }
        self._last: dict[tuple[str, str, int], int] = {}

    @property
    def n_seen(self) -> int:
        """How many different events came out."""
        return sum(ledger.n_seen for ledger in self.ledgers.values())

    def enriched(self, message: Seen) -> None:
        """Judge a message of an output topic."""
        self.n_enriched += 1
        headers = _words(message.headers)
        digest = headers.get("lexstream-model", "").removeprefix(f"{self.task}=")
        topic, partition, offset = headers.get("lexstream-source", "//").rsplit("/", 2)
        place = self._arrived(message, topic, _number(partition), _number(offset), digest)
        if place is None:
            return
        document = json.loads(message.value or b"{}")
        self._time(place, document)
        if self.traffic.broken(place):
            self._fault("wrongOutcome", f"{place.id} was enriched")
        elif problem := wrong_answer(document, self.traffic.text(place), key=message.key, place=place, digest=digest):
            self._fault("wrongAnswer", f"{place.id}: {problem}")

    def dead_letter(self, message: Seen) -> None:
        """Judge a dead letter."""
        headers = _words(message.headers)
        topic, partition, offset, error = (
            headers.get(_ERRORS + name, "") for name in ("topic", "partition", "offset", "exception.class.name")
        )
        self.dead[error] += 1
        place = self._arrived(message, topic, _number(partition), _number(offset), DEAD)
        bad = self.traffic.broken(place) if place else None
        if place and (bad is None or bad.error != error):
            self._fault("wrongOutcome", f"{place.id} is a dead letter for {error}, not {bad.error if bad else 'any'}")
        elif place and message.value != self.traffic.value(place):
            self._fault("wrongAnswer", f"the dead letter of {place.id} has other bytes")

    def control_event(self, message: Seen) -> None:
        """Take a switch down; other control events mean nothing here."""
        event = json.loads(message.value or b"{}")
        if event.get("event") == "switched":
            details = event["details"]
            switch = Switch(details["offset"], details["to"])
            self.switches[details["topic"], details["partition"]].append(switch)

    def reached(self) -> dict[tuple[str, int], int]:
        """Return one more than the last offset that came out, by input topic and partition."""
        return {place: max([ledger.next - 1, *ledger.ahead]) + 1 for place, ledger in self.ledgers.items()}

    def close(self, published: Mapping[tuple[str, int], int]) -> None:
        """Judge what only the end tells.

        Args:
            published: How many events have to have come out, by input topic and partition.
        """
        for (topic, partition), ledger in self.ledgers.items():
            ledger.n_expected = published[topic, partition]
            for offset in ledger.close():
                self._fault("lost", f"{topic}/{partition}/{offset}")
            if beyond := max(0, ledger.next - ledger.n_expected):
                self._fault("unexpected", f"{beyond} outputs beyond the end of {topic}/{partition}", beyond)
            if wrong := n_wrong(ledger.runs, self.switches[topic, partition]):
                self._fault("wrongModel", f"{wrong} events of {topic}/{partition}", wrong)

    def _arrived(self, message: Seen, topic: str, partition: int, offset: int, digest: str) -> Place | None:
        """Enter an output in its ledger; return its event if this is the first output of it."""
        ledger, where = self.ledgers.get((topic, partition)), f"{topic}/{partition}/{offset}"
        if ledger is None or offset < 0:
            self._fault("unexpected", f"{message.topic} has an output of {where}")
            return None
        if not ledger.note(offset, digest):
            self._fault("doubled", f"{where} in {message.topic}")
            return None
        last = self._last.get((message.topic, topic, partition), -1)
        self._last[message.topic, topic, partition] = max(last, offset)
        if offset < last or message.partition != partition:
            self._fault("reordered", f"{where} after {last}, in partition {message.partition} of {message.topic}")
        return Place(self.inputs[topic], offset * PARTITIONS + partition)

    def _time(self, place: Place, document: Mapping[str, object]) -> None:
        source = document.get("source")
        if not isinstance(source, dict):
            return
        now = self.clock()
        took = now - datetime.fromisoformat(source["timestamp"]).timestamp()
        kind = "long" if self.traffic.is_long(place) else str(place.lane)
        self.latencies[max(0, int((now - self.began) // 60)), kind].append(took)

    def _fault(self, name: str, example: str, count: int = 1) -> None:
        self.faults[name] += count
        if len(self.examples[name]) < _EXAMPLES:
            self.examples[name].append(example)


def wrong_answer(
    document: Mapping[str, object], text: str, *, key: bytes | None, place: Place, digest: str
) -> str | None:
    """Return what is wrong with an enriched document, if anything."""
    results = document.get("results")
    if key != place.id.encode() or document.get("id") != place.id or document.get("text") != text:
        return f"it is another document, {document.get('id')!r}"
    if not isinstance(results, list) or len(results) != 1 or document.get("errors"):
        return "it has not exactly one result"
    if results[0]["model"]["digest"] != digest:
        return "the header names another model than the result"
    wrong = [each for each in results[0]["entities"] if _piece(text, each) != each["text"]]
    return f"{len(wrong)} entities are not in the text where they should be" if wrong else None


def _piece(text: str, entity: Mapping[str, int]) -> str:
    return text[entity["offset"] : entity["offset"] + entity["length"]]


def _words(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    return {name: (content or b"").decode("utf-8", "replace") for name, content in headers}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
