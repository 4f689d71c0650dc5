import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from agents.prove.checker import Checker, Seen
from agents.prove.commands import Handed
from agents.prove.events import LaneName, Place, echo_text, is_long, places
from agents.prove.sequence import Sequence
from tests.agents.prove.prove_kit import (
    BAD,
    GOOD,
    INPUTS,
    N_EVENTS,
    NEW,
    OLD,
    SEED,
    answer_all,
    checker,
    dead_letter,
    enriched,
    result,
    switched,
)


def after(judge: Checker) -> dict[str, int]:
    judge.close()
    return {name: count for name, count in judge.faults.items() if count}


def test_nothing_is_wrong_where_each_event_came_out_once_by_the_model_of_the_log() -> None:
    judge = checker()
    answer_all(judge, swap_at=20)
    assert judge.complete
    assert judge.n_seen == N_EVENTS
    assert after(judge) == {}
    assert judge.n_enriched == len(GOOD)
    assert judge.dead.total() == len(BAD)


def test_long_documents_are_counted_once_each() -> None:
    long = next(place for place in places(20_000) if is_long(SEED, place))
    judge = checker(20_000)
    for _ in range(2):
        judge.enriched(enriched(long))
    judge.enriched(enriched(GOOD[0]))
    assert judge.n_long == 1


def test_nothing_at_all_is_all_lost() -> None:
    assert after(checker()) == {"lost": N_EVENTS}


@pytest.mark.parametrize("missing", [GOOD[0], GOOD[-1], BAD[0]])
def test_one_that_never_came_out_is_lost(missing: Place) -> None:
    judge = checker()
    answer_all(judge, but=missing)
    assert not judge.complete
    assert after(judge) == {"lost": 1}
    assert judge.examples["lost"][0].endswith(f"/{missing.partition}/{missing.offset}")


FAULTY: dict[str, tuple[Callable[[Checker], None], str]] = {
    "again": (lambda judge: judge.enriched(enriched(GOOD[5])), "duplicate"),
    "dead letter again": (lambda judge: judge.dead_letter(dead_letter(BAD[0])), "duplicate"),
    "also a dead letter": (lambda judge: judge.dead_letter(dead_letter(GOOD[5])), "duplicate"),
    "of nobody": (lambda judge: judge.enriched(enriched(Place(LaneName.BULK, N_EVENTS * 2))), "unexpected"),
    "without a source": (lambda judge: judge.enriched(Seen("enriched", 0, b"", b"{}", [])), "unexpected"),
    "in the other lane's topic": (
        lambda judge: judge.enriched(replace(enriched(last(LaneName.INTERACTIVE)), topic="enriched")),
        "unexpected",
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_comes_too_much_is_found(name: str) -> None:
    add, fault = FAULTY[name]
    judge = checker()
    answer_all(judge)
    add(judge)
    assert after(judge) == {fault: 1}


def last(lane: LaneName) -> Place:
    return next(place for place in reversed(GOOD) if place.lane is lane)


def named(place: Place, digest: str, header: bytes) -> Seen:
    """The answer of a model, with another header that names one."""
    seen = enriched(place, digest)
    return replace(seen, headers=[each for each in seen.headers if each[0] != "lexstream-model"] + [(MODEL, header)])


MODEL = "lexstream-model"
INSTEAD: dict[str, tuple[Callable[[Checker, Place], None], str]] = {
    "dead": (lambda judge, place: judge.dead_letter(dead_letter(place)), "wrongOutcome"),
    "other id": (lambda judge, place: judge.enriched(enriched(place, id="bulk/0")), "wrongAnswer"),
    "other text": (lambda judge, place: judge.enriched(enriched(place, text="an other text, quite")), "wrongAnswer"),
    "cut text": (
        lambda judge, place: judge.enriched(enriched(place, text=echo_text(SEED, place)[:-1])),
        "wrongAnswer",
    ),
    "errors": (lambda judge, place: judge.enriched(enriched(place, errors=[{"code": "x"}])), "wrongAnswer"),
    "no results": (lambda judge, place: judge.enriched(enriched(place, results=[])), "wrongAnswer"),
    "other model": (lambda judge, place: judge.enriched(enriched(place, NEW)), "wrongModel"),
    "no model": (lambda judge, place: judge.enriched(named(place, "", b"prove/production=")), "wrongAnswer"),
    "no model's header": (lambda judge, place: judge.enriched(named(place, "", b"")), "wrongAnswer"),
    "another deployment's header": (
        lambda judge, place: judge.enriched(named(place, OLD, b"prove/other=" + OLD.encode())),
        "wrongAnswer",
    ),
    "other partition": (
        lambda judge, place: judge.enriched(
            Seen("enriched", place.partition + 1, *[getattr(enriched(place), name) for name in Seen.__slots__[2:]])
        ),
        "reordered",
    ),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_what_comes_out_wrong_is_found(name: str) -> None:
    put, fault = INSTEAD[name]
    place = last(LaneName.BULK)
    judge = checker()
    answer_all(judge, but=place)
    put(judge, place)
    assert after(judge) == {fault: 1}


LAST = last(LaneName.BULK)
SOURCE = {"topic": "documents", "partition": LAST.partition, "offset": LAST.offset}


@pytest.mark.parametrize(
    "changed",
    [
        {"source": SOURCE | {"topic": "requests"}},
        {"source": SOURCE | {"partition": LAST.partition + 1}},
        {"source": SOURCE | {"offset": 0}},
        {"source": None},
        {"results": [result(LAST, project="loans")]},
        {"results": [result(LAST, deployment="staging")]},
        {"results": [result(LAST, kind="CustomMultiLabelClassification")]},
        {"results": [result(LAST, confidence=0.5)]},
    ],
)
def test_an_answer_that_tells_of_another_source_or_task_is_found(changed: dict[str, Any]) -> None:
    judge = checker()
    answer_all(judge, but=LAST)
    judge.enriched(enriched(LAST, **changed))
    assert after(judge) == {"wrongAnswer": 1}


def test_an_answer_in_the_other_lanes_topic_did_not_come_where_it_should() -> None:
    judge = checker()
    answer_all(judge, but=LAST)
    judge.enriched(replace(enriched(LAST), topic="replies"))
    assert not judge.complete
    assert after(judge) == {"unexpected": 1, "lost": 1}


def test_an_answer_of_another_model_than_the_header_says_is_found() -> None:
    place = last(LaneName.INTERACTIVE)
    judge = checker()
    answer_all(judge, but=place)
    honest, lying = enriched(place, OLD), enriched(place, NEW)
    judge.enriched(Seen(honest.topic, honest.partition, honest.key, lying.value, honest.headers))
    assert after(judge) == {"wrongAnswer": 1}


@pytest.mark.parametrize(
    "value",
    [
        b"no JSON",
        b"\xff",
        b"[" * 200_000,
        b"[]",
        b"null",
        json.dumps({"results": [1]}).encode(),
        json.dumps({"results": [{}]}).encode(),
        json.dumps({"results": [{"model": None}]}).encode(),
        json.dumps({"results": [{"model": {"digest": OLD}}]}).encode(),
        json.dumps({"results": [{"model": {"digest": OLD}, "entities": [{"category": OLD, "offset": "0"}]}]}).encode(),
        json.dumps({"results": 7}).encode(),
    ],
)
def test_an_answer_that_cannot_be_read_is_wrong_and_the_count_goes_on(value: bytes) -> None:
    place = last(LaneName.BULK)
    judge = checker()
    answer_all(judge, but=place)
    with suppress(ValueError, TypeError, RecursionError):
        value = json.dumps(json.loads(enriched(place).value or b"") | json.loads(value)).encode()
    judge.enriched(replace(enriched(place), value=value))
    assert after(judge) == {"wrongAnswer": 1}
    assert "it cannot be read (" in judge.examples["wrongAnswer"][0]


@pytest.mark.parametrize("source", [b"documents", b"documents/0", b"//", b"documents/0/" + b"9" * 5000, b"\xff/a/b"])
def test_an_answer_with_a_source_that_cannot_be_read_is_one_of_no_event(source: bytes) -> None:
    judge = checker()
    answer_all(judge)
    headers = [("lexstream-source", source)]
    judge.enriched(replace(enriched(GOOD[0]), headers=headers))
    assert after(judge) == {"unexpected": 1}


@pytest.mark.parametrize(
    "value",
    [
        b"no JSON",
        b"[]",
        b'{"project": "prove", "event": "switched"}',
        b'{"project": "prove", "event": "switched", "details": {"topic": [], "partition": 0, "offset": 0, "to": "x"}}',
        b'{"project": "prove", "event": "switched", "details": {"topic": "a", "partition": 0, "offset": "0"}}',
        b'{"commandId": [], "event": "accepted"}',
    ],
)
def test_a_control_event_that_cannot_be_read_is_a_fault_and_the_count_goes_on(value: bytes) -> None:
    judge = checker()
    answer_all(judge)
    judge.control_event(Seen("control-events", 0, b"x", value, []))
    assert after(judge) == {"command": 1}
    assert "a control event cannot be read (" in judge.examples["command"][0]


@pytest.mark.parametrize(
    ("key", "value"), [(b"\xff", b"{}"), (b"deployment/x", b"no JSON"), (b"deployment/x", b"{}"), (b"model/x", b"[]")]
)
def test_a_record_of_the_registry_that_cannot_be_read_is_a_fault_and_the_count_goes_on(
    key: bytes, value: bytes
) -> None:
    judge = checker()
    answer_all(judge)
    judge.registry_record(Seen("registry", 0, key, value, []))
    assert after(judge) == {"command": 1}
    assert "a record of the registry cannot be read (" in judge.examples["command"][0]


def test_poison_that_was_enriched_is_found() -> None:
    judge = checker()
    answer_all(judge, but=BAD[-1])
    judge.enriched(enriched(BAD[-1]))
    assert after(judge)["wrongOutcome"] == 1


def test_a_dead_letter_for_another_reason_or_with_other_bytes_is_found() -> None:
    judge = checker()
    answer_all(judge, but=BAD[-1])
    judge.dead_letter(dead_letter(BAD[-1], "EncodeError"))
    assert after(judge) == {"wrongOutcome": 1}
    judge = checker()
    answer_all(judge, but=BAD[-1])
    whole = dead_letter(BAD[-1])
    judge.dead_letter(Seen(whole.topic, whole.partition, whole.key, b"something else", whole.headers))
    assert after(judge) == {"wrongAnswer": 1}


def test_an_event_that_overtook_another_of_its_partition_is_found() -> None:
    judge = checker()
    early = next(place for place in GOOD if place.offset == 1)
    answer_all(judge, but=early)
    judge.enriched(enriched(early))
    assert after(judge) == {"reordered": 1}


def test_an_answer_or_dead_letter_without_its_events_header_is_found() -> None:
    place = last(LaneName.BULK)
    for lost, judged in ((enriched(place), "enriched"), (dead_letter(BAD[-1]), "dead_letter")):
        judge = checker()
        answer_all(judge, but=place if judged == "enriched" else BAD[-1])
        getattr(judge, judged)(Seen(lost.topic, lost.partition, lost.key, lost.value, lost.headers[1:]))
        assert after(judge) == {"wrongAnswer": 1}


def test_a_dead_letter_of_another_stage_is_found() -> None:
    judge = checker()
    answer_all(judge, but=BAD[-1])
    whole = dead_letter(BAD[-1])
    headers = [(name, b"encode" if name.endswith(".stage") else content) for name, content in whole.headers]
    judge.dead_letter(Seen(whole.topic, whole.partition, whole.key, whole.value, headers))
    assert after(judge) == {"wrongOutcome": 1}


def test_another_reader_has_to_see_the_same_bytes_in_the_same_order() -> None:
    for swapped in (False, True):
        judge = checker()
        answer_all(judge)
        theirs: dict[int, Sequence] = defaultdict(Sequence)
        others = checker()
        answer_all(others)
        for partition in range(4):
            theirs[partition] = others.sequences["enriched", partition]
        if swapped:
            theirs[2] = others.sequences["enriched", 3]
        judge.compare("enriched", theirs)
        assert after(judge) == ({"slowReader": 1} if swapped else {})


def test_commands_and_trainings_that_went_wrong_are_faults() -> None:
    judge = checker()
    answer_all(judge)
    judge.commands.handed["c"] = Handed("deploy")
    judge.registry_record(Seen("registry", 0, b"command/c", b"{}", []))
    judge.registry_record(Seen("registry", 0, b"command/d", None, []))
    assert after(judge) == {"command": 1}


def test_who_waits_for_a_partition_is_told_when_something_was_written() -> None:
    moved: list[tuple[tuple[str, int], float]] = []
    judge = Checker(SEED, N_EVENTS, INPUTS, moved=lambda place, written: moved.append((place, written)))
    judge.enriched(replace(enriched(GOOD[0]), written=12.5))
    assert moved == [(("documents", GOOD[0].partition), 12.5)]


def test_control_events_of_others_are_no_switches() -> None:
    judge = checker()
    judge.control_event(Seen("control-events", 0, b"x", b'{"project": "prove", "event": "succeeded"}', []))
    judge.control_event(switched("documents", 1, 3, OLD))
    assert {place: len(found) for place, found in judge.switches.items()} == {("documents", 1): 1}


def test_a_fault_shows_only_its_first_examples() -> None:
    judge = checker()
    judge.close()
    assert len(judge.examples["lost"]) == 5


@pytest.mark.parametrize(
    ("judge", "judged"),
    [
        ("agents.prove.checker", ("agents.hotloop", "agents.enrich", "schemas", "models", "aiokafka")),
        ("agents.prove.reader", ("agents.hotloop", "agents.enrich", "schemas.dead_letters", "models")),
    ],
)
def test_who_judges_shares_no_code_with_who_is_judged(judge: str, judged: tuple[str, ...]) -> None:
    program = f"import {judge}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if name.startswith(judged)] == []
