"""What has to add up in the end: every event came out exactly once, and the right model answered. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.control_events import ControlEvent
from schemas.enriched import EnrichedDocument

Place = tuple[int, int]
"""Partition and offset of an input event."""


@dataclass(slots=True)
class Ledger:
    """Where events went in, and what came out for each."""

    came_in: set[Place] = field(default_factory=set)
    enriched: Counter[Place] = field(default_factory=Counter)
    dead: Counter[Place] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        """Whether something came out for everything that went in."""
        return self.came_in <= self.enriched.keys() | self.dead.keys()

    def problems(self) -> list[str]:
        """Return everything that does not add up."""
        out = self.enriched + self.dead
        lost = self.came_in - out.keys()
        strange = out.keys() - self.came_in
        twice = [place for place, times in out.items() if times > 1]
        return [
            f"{len(places)} {what}: {sorted(places)[:5]}"
            for what, places in (("lost", lost), ("not ours", strange), ("more than once", twice))
            if places
        ]


@dataclass(frozen=True, slots=True)
class Switch:
    """From ``offset`` of ``partition`` on, ``digest`` answers."""

    partition: int
    offset: int
    digest: str
    before: str | None


def switches_of(events: Iterable[ControlEvent], *, topic: str, project: str, deployment: str) -> list[Switch]:
    """Return the switches of one deployment on one topic."""
    return sorted(
        (
            Switch(
                int(event.details["partition"]),
                int(event.details["offset"]),
                str(event.details["to"]),
                event.details.get("from"),
            )
            for event in events
            if (event.project, event.details.get("deployment"), event.details.get("topic"))
            == (project, deployment, topic)
        ),
        key=lambda switch: (switch.partition, switch.offset),
    )


def answers_of(documents: Iterable[EnrichedDocument], *, project: str) -> dict[Place, str]:
    """Return the digest of the model that answered each document of ``project``."""
    found: dict[Place, str] = {}
    for document in documents:
        for result in document["results"]:
            if result["project"] == project:
                source = document["source"]
                found[source["partition"], source["offset"]] = result["model"]["digest"]
    return found


def labels_of(documents: Iterable[EnrichedDocument]) -> dict[str, str]:
    """Return the label of each model that answered, by its digest."""
    models = (result["model"] for document in documents for result in document["results"])
    return {model["digest"]: model["label"] for model in models}


def contradictions(answers: Mapping[Place, str], switches: Iterable[Switch]) -> list[Place]:
    """Return the documents that were answered by another model than the switches say."""
    by_partition: dict[int, list[Switch]] = defaultdict(list)
    for switch in switches:
        by_partition[switch.partition].append(switch)
    return sorted(
        (partition, offset)
        for (partition, offset), digest in answers.items()
        if _digest_at(by_partition[partition], offset) not in {None, digest}
    )


def _digest_at(switches: list[Switch], offset: int) -> str | None:
    before = [switch for switch in switches if switch.offset <= offset]
    return max(before, key=lambda switch: switch.offset).digest if before else None
