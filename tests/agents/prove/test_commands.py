from typing import Any

import pytest

from agents.prove.commands import CommandBook, Handed

DEPLOY, TRAIN = "deploy-1", "train-1"
EVENTS: list[dict[str, Any]] = [
    {"commandId": DEPLOY, "event": "accepted", "details": {"command": "deploy"}},
    {"commandId": DEPLOY, "event": "succeeded", "details": {"deployment": "production", "worker": "a"}},
    {"commandId": DEPLOY, "event": "succeeded", "details": {"deployment": "production", "worker": "b"}},
    {"commandId": TRAIN, "event": "accepted", "details": {"command": "train", "jobId": TRAIN}},
    {"commandId": TRAIN, "event": "progress", "details": {"jobId": TRAIN}},
    {"commandId": TRAIN, "event": "succeeded", "details": {"jobId": TRAIN}},
    {"commandId": "of somebody else", "event": "accepted", "details": {}},
]
RECORDS: list[tuple[str, dict[str, Any]]] = [
    (f"command/{DEPLOY}", {}),
    ("deployment/prove/production", {"commandId": DEPLOY}),
    (f"command/{TRAIN}", {}),
    (f"job/{TRAIN}", {"status": "running"}),
    ("model/prove-training/trained-1", {"digest": "sha256:a"}),
    ("model/prove/trained-1", {"digest": "sha256:of a real model that is called the same"}),
]


def book(*, events: list[dict[str, Any]] = EVENTS, records: list[tuple[str, dict[str, Any]]] = RECORDS) -> CommandBook:
    made = CommandBook({DEPLOY: Handed("deploy"), TRAIN: Handed("train", "prove-training/trained-1")})
    for event in events:
        made.event(event)
    for key, record in records:
        made.record(key, record)
    return made


def test_a_command_with_one_effect_and_a_training_with_one_model_are_right() -> None:
    right = book()
    assert list(right.faults()) == []
    assert (right.accepted(DEPLOY), right.ended(TRAIN), right.n_trained) == (True, True, 1)
    assert (right.served(DEPLOY), right.n_served) == (True, 1)


def test_a_last_deployment_that_no_worker_served_is_found_and_one_that_was_overtaken_is_not() -> None:
    unserved = book(events=[EVENTS[0], *EVENTS[3:]])
    assert (unserved.served(DEPLOY), unserved.n_served) == (False, 0)
    assert [name for name, _ in unserved.faults()] == ["command"]
    unserved.handed["deploy-2"] = Handed("deploy")
    for at in (0, 1):
        unserved.event(EVENTS[at] | {"commandId": "deploy-2"})
    unserved.record("command/deploy-2", {})
    unserved.record("deployment/prove/production", {"commandId": "deploy-2"})
    assert list(unserved.faults()) == []
    assert unserved.n_served == 1


@pytest.mark.parametrize("at", [0, 3])
def test_a_command_that_was_accepted_twice_or_never_is_found(at: int) -> None:
    assert [name for name, _ in book(events=[*EVENTS, EVENTS[at]]).faults()] == ["command"]
    assert "command" in [name for name, _ in book(events=EVENTS[:at] + EVENTS[at + 1 :]).faults()]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_record_that_was_written_twice_or_never_is_found(at: int) -> None:
    assert [name for name, _ in book(records=[*RECORDS, RECORDS[at]]).faults()] == ["command"]
    assert [name for name, _ in book(records=RECORDS[:at] + RECORDS[at + 1 :]).faults()] == ["command"]


def test_a_command_that_was_rejected_is_found() -> None:
    events = [{**EVENTS[0], "event": "rejected"}, *EVENTS[1:]]
    assert [name for name, _ in book(events=events).faults()] == ["command"]


@pytest.mark.parametrize("more", [EVENTS[5], {**EVENTS[5], "event": "failed"}])
def test_a_training_that_ended_twice_is_found(more: dict[str, Any]) -> None:
    assert [name for name, _ in book(events=[*EVENTS, more]).faults()] == ["job"]


def test_a_training_that_made_two_models_or_none_or_never_ended_is_found() -> None:
    second = ("model/prove-training/trained-1", {"digest": "sha256:b"})
    assert [name for name, _ in book(records=[*RECORDS, second]).faults()] == ["job"]
    assert [name for name, _ in book(records=RECORDS[:-2]).faults()] == ["job"]
    assert [name for name, _ in book(events=EVENTS[:5]).faults()] == ["job"]
    assert not book(events=EVENTS[:5]).ended(TRAIN)
