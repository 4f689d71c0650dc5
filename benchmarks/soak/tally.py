"""Has what an independent reader saw counted, as the proof counts, and keeps how long each answer took."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agents.bench.model import PROJECT
from agents.prove.checker import FAULTS as ALL_FAULTS
from agents.prove.checker import Checker, Input
from agents.prove.events import Place
from benchmarks.soak.events import SEED, Traffic
from benchmarks.soak.swaps import Switched
from schemas.names import Kind

DEPLOYMENT = "production"
FAULTS = {name: told for name, told in ALL_FAULTS.items() if name not in {"job", "slowReader"}}


@dataclass
class Tally:
    """What came out. The reader's thread writes, others may read.

    Attributes:
        traffic: What was published.
        inputs: The input topics.
        n_events: How many are published at most.
        now_s: Seconds since the first output.
        switched: What the log says of models that went into use.
        latencies: Seconds from publishing to reading, by minute and kind of document.
    """

    traffic: Traffic
    inputs: Mapping[str, Input]
    n_events: int
    now_s: Callable[[], float]
    clock: Callable[[], float] = time.time
    switched: list[Switched] = field(default_factory=list)
    latencies: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.checker = Checker(
            SEED,
            self.n_events,
            self.inputs,
            judge=self._wrong,
            kind=Kind.ENTITIES,
            project=PROJECT,
            deployment=DEPLOYMENT,
            broken=lambda _, place: self.traffic.broken(place),
            switched=lambda place, digest: self.switched.append(Switched(self.now_s(), digest, place)),
        )
        self.enriched = self.checker.enriched
        self.dead_letter = self.checker.dead_letter
        self.control_event = self.checker.control_event

    @property
    def n_seen(self) -> int:
        """How many different events came out."""
        return self.checker.n_seen

    @property
    def answered(self) -> Counter[str]:
        """How many events each model answered, by digest."""
        found: Counter[str] = Counter()
        for ledger in self.checker.ledgers.values():
            for run in ledger.runs:
                found[run.digest] += run.n_events
        return found

    def reached(self) -> dict[tuple[str, int], int]:
        """Return one more than the last offset that came out, by input topic and partition."""
        return {place: max([ledger.next - 1, *ledger.ahead]) + 1 for place, ledger in self.checker.ledgers.items()}

    def close(self, published: Mapping[tuple[str, int], int]) -> None:
        """Judge what only the end tells.

        Args:
            published: How many events have to have come out, by input topic and partition.
        """
        for (topic, partition), reached in self.reached().items():
            place = topic, partition
            self.checker.ledgers[place].n_expected = published[place]
            if beyond := max(0, reached - published[place]):
                self.checker.fault("unexpected", f"{beyond} outputs beyond the end of {topic}/{partition}", beyond)
        self.checker.close()

    def _wrong(self, _seed: int, place: Place, document: Mapping[str, Any], _digest: str) -> str | None:
        self._time(place, document["source"]["timestamp"])
        text = self.traffic.text(place)
        if document["text"] != text:
            return "it has another text"
        wrong = [each for each in document["results"][0]["entities"] if _piece(text, each) != each["text"]]
        return f"{len(wrong)} entities are not in the text where they should be" if wrong else None

    def _time(self, place: Place, published: str) -> None:
        took = self.clock() - datetime.fromisoformat(published).timestamp()
        kind = "long" if self.traffic.is_long(place) else str(place.lane)
        self.latencies[int(self.now_s() // 60), kind].append(took)


def _piece(text: str, entity: Mapping[str, int]) -> str:
    return text[entity["offset"] : entity["offset"] + entity["length"]]
