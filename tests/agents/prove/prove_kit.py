"""Outputs as a worker writes them, built by hand, and findings as a run would bring them."""

import json
from collections import Counter
from collections.abc import Sequence

from agents.prove.checker import Checker, Input, Seen
from agents.prove.events import ECHO_KIND, HEADER, LaneName, Place, echo_text, first_word, places, poison, value
from agents.prove.group import Lag
from agents.prove.murders import Deed
from agents.prove.recovery import Stop
from agents.prove.run import Findings, Order
from agents.prove.schedule import Kind, Murder
from agents.prove.timeline import Timeline

SEED = 1
N_EVENTS = 400
RUN_SEEDS, RUN_S = (3, 6, 7), 18
"""Of the whole runs on a real Kafka."""
OLD, NEW = "sha256:old", "sha256:new"
_ALL = Lag()
INPUTS = {
    "documents": Input(LaneName.BULK, frozenset({"enriched", "dead-letters"})),
    "requests": Input(LaneName.INTERACTIVE, frozenset({"replies", "dead-letters"})),
}
TOPICS = {given.lane: topic for topic, given in INPUTS.items()}


def checker(n_events: int = N_EVENTS) -> Checker:
    return Checker(SEED, n_events, INPUTS)


def is_good(place: Place) -> bool:
    return poison(SEED, place) is None


GOOD = [place for place in places(N_EVENTS) if is_good(place)]
BAD = [place for place in places(N_EVENTS) if not is_good(place)]


def enriched(place: Place, digest: str = OLD, **changed: object) -> Seen:
    document = {
        "id": place.id,
        "text": echo_text(SEED, place),
        "source": {"topic": TOPICS[place.lane], "partition": place.partition, "offset": place.offset},
        "errors": [],
        "results": [result(place, digest)],
        **changed,
    }
    source = f"{TOPICS[place.lane]}/{place.partition}/{place.offset}"
    headers = [
        (HEADER, place.id.encode()),
        ("lexstream-source", source.encode()),
        ("lexstream-model", f"prove/production={digest}".encode()),
    ]
    output = "enriched" if place.lane is LaneName.BULK else "replies"
    return Seen(output, place.partition, place.id.encode(), json.dumps(document).encode(), headers)


def result(place: Place, digest: str = OLD, *, confidence: float = 1.0, **changed: object) -> dict[str, object]:
    word = first_word(place)
    entity = {"text": word, "category": digest, "offset": 0, "length": len(word), "confidenceScore": confidence}
    told = {"project": "prove", "deployment": "production", "kind": ECHO_KIND, "model": {"digest": digest}}
    return told | {"entities": [entity]} | changed


def dead_letter(place: Place, error: str | None = None) -> Seen:
    bad = poison(SEED, place)
    named = error or (bad.error if bad else "DecodeError")
    facts = {
        "topic": TOPICS[place.lane],
        "partition": place.partition,
        "offset": place.offset,
        "exception.class.name": named,
        "stage": bad.stage if bad else "decode",
    }
    headers = [(HEADER, place.id.encode())]
    headers += [(f"__connect.errors.{name}", str(fact).encode()) for name, fact in facts.items()]
    return Seen("dead-letters", place.partition, place.id.encode(), value(SEED, place), headers)


def switched(topic: str, partition: int, offset: int, digest: str) -> Seen:
    details = {"topic": topic, "partition": partition, "offset": offset, "to": digest}
    event = {"project": "prove", "event": "switched", "details": details}
    return Seen("control-events", 0, b"prove", json.dumps(event).encode(), [])


def answer_all(judge: Checker, *, but: Place | None = None, swap_at: int = 1_000_000) -> None:
    """Hand over one right output of each event; from offset ``swap_at`` on the new model answers."""
    for topic in INPUTS:
        for partition in range(4):
            judge.control_event(switched(topic, partition, 0, OLD))
            judge.control_event(switched(topic, partition, swap_at, NEW))
    for place in places(judge.n_events):
        if place == but:
            continue
        if is_good(place):
            judge.enriched(enriched(place, NEW if place.offset >= swap_at else OLD))
        else:
            judge.dead_letter(dead_letter(place))


def findings(judge: Checker | None = None, *, deeds: Sequence[Deed] | None = None, lag: Lag | None = _ALL) -> Findings:
    if judge is None:
        judge = checker()
        answer_all(judge, swap_at=20)
    judge.close()
    timeline = Timeline(in_per_s=[200, 200], out_per_s=[150, 250], n_published=judge.n_events)
    deeds = _two_murders() if deeds is None else deeds
    return Findings(
        Order(SEED, judge.n_events, 2.0),
        judge,
        timeline,
        deeds,
        [],
        Counter({"exit code 3": 1}),
        n_started=4,
        n_deploys=2,
        n_behind=0,
        lag=lag,
        n_held_back=0,
        seconds=2.5,
    )


def _two_murders() -> list[Deed]:
    stop = Stop(0.5, 0.0, {("documents", 0): 0.75, ("documents", 1): None})
    return [
        Deed(Murder(0.5, Kind.KILL, 0.0, 0.5), "worker-0", 0.5, 0.5, static=True, stop=stop),
        Deed(Murder(0.7, Kind.FREEZE, 8.0, 0.5), "worker-1", 0.7, 8.7),
    ]
