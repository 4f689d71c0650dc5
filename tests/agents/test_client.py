"""When a command has ended, and what was replayed: pure decisions of the client's side."""

import random

import pytest

from agents.cli.dead_letters import require_reasons
from agents.client import ANSWER_S, SERVE_S, Outcome
from agents.replay import Letter, Replayed, parts_of, waiting
from schemas.commands import (
    Command,
    DeleteDeploymentCommand,
    Deploy,
    DeployCommand,
    OneDeployment,
    RollbackCommand,
    SwapDeployments,
    SwapDeploymentsCommand,
    Train,
    TrainCommand,
)
from schemas.control_events import ControlEvent, EventType
from schemas.dead_letters import DeadLetter
from schemas.errors import InvalidInput, LexstreamError
from tests.agents.records import record

DEPLOY = DeployCommand(project="p", parameters=Deploy(model_label="v1", deployment="a"))
SWAP = SwapDeploymentsCommand(project="p", parameters=SwapDeployments(first="a", second="b"))
TRAIN = TrainCommand(project="p", parameters=Train(model_label="v1"))


def event(kind: EventType, **details: object) -> ControlEvent:
    return ControlEvent(project="p", event=kind, details=details)


def test_a_deployment_has_ended_when_a_worker_serves_it() -> None:
    outcome = Outcome(DEPLOY)
    assert outcome.patience_s == ANSWER_S
    assert not outcome.take(event(EventType.ACCEPTED, deployment="a"))
    assert outcome.patience_s == SERVE_S
    assert outcome.take(event(EventType.SUCCEEDED, deployment="a", worker="w"))


def test_a_swap_has_ended_when_both_are_served_however_many_workers_say_so() -> None:
    outcome = Outcome(SWAP)
    assert not outcome.take(event(EventType.SUCCEEDED, deployment="b", worker="1"))
    assert not outcome.take(event(EventType.SUCCEEDED, deployment="b", worker="2"))
    assert outcome.take(event(EventType.SUCCEEDED, deployment="a", worker="1"))


def test_a_swap_of_one_model_for_itself_ends_at_once() -> None:
    assert Outcome(SWAP).take(event(EventType.SUCCEEDED, changed=False, deployments={}))


@pytest.mark.parametrize("kind", [EventType.REJECTED, EventType.FAILED, EventType.CANCELLED])
@pytest.mark.parametrize("command", [DEPLOY, SWAP, TRAIN])
def test_bad_ends_end_every_command(kind: EventType, command: Command) -> None:
    assert Outcome(command).take(event(kind, problems=["x"]))


def test_training_may_wait_for_a_free_trainer_as_long_as_it_takes() -> None:
    outcome = Outcome(TRAIN)
    outcome.take(event(EventType.ACCEPTED))
    assert not outcome.take(event(EventType.PROGRESS, fraction=0.5))
    assert outcome.patience_s is None
    assert outcome.take(event(EventType.SUCCEEDED))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (RollbackCommand(project="p", parameters=OneDeployment(deployment="a")), "no worker serves a"),
        (DeleteDeploymentCommand(project="p", parameters=OneDeployment(deployment="a")), "not finished"),
    ],
)
def test_silence_is_explained(command: Command, words: str) -> None:
    outcome = Outcome(command)
    assert "start one with `lexstream worker`" in outcome.advice
    outcome.take(event(EventType.ACCEPTED))
    assert words in outcome.advice


LETTERS = [0, 1, 4, 5, 9]


def test_what_was_replayed_is_everything_before_the_first_that_waits() -> None:
    after = Replayed().after([0, 1, 4, 5, 9], letters=LETTERS)
    assert after == Replayed(10)
    assert all(offset in after for offset in LETTERS)


def test_letters_that_were_left_out_wait_and_are_not_forgotten() -> None:
    after = Replayed().after([1, 5], letters=LETTERS)
    assert after == Replayed(0, frozenset({1, 5}))
    assert Replayed.read(after.first, after.metadata()) == after
    rest = after.after([0, 4, 9], letters=LETTERS)
    assert rest == Replayed(10)


def test_nothing_committed_means_nothing_replayed() -> None:
    assert Replayed.read(-1, "") == Replayed()
    assert 0 not in Replayed()


def test_thousands_that_were_left_out_fit_and_too_many_are_refused() -> None:
    every_other = Replayed(0, frozenset(range(1, 100_000, 2)))
    assert Replayed.read(0, every_other.metadata()) == every_other
    random.seed(0)
    scattered = Replayed(0, frozenset(offset for offset in range(1, 200_000) if random.random() < 0.5))
    with pytest.raises(LexstreamError, match="replay some of those first"):
        scattered.metadata()


def test_foreign_metadata_is_refused() -> None:
    with pytest.raises(LexstreamError, match="cannot be read"):
        Replayed.read(3, "something else")


def letter(offset: int, error: str, stage: str) -> Letter:
    return Letter(record("dead", value=b"", offset=offset), DeadLetter("in", 0, offset, 0, stage, error, "why"))


def test_reasons_and_earlier_replays_choose_what_is_sent() -> None:
    letters = [letter(0, "DecodeError", "decode"), letter(1, "InvalidEvent", "validate"), letter(2, "X", "decode")]
    assert [each.record.offset for each in waiting(letters, {0: Replayed(1)}, reasons=[])] == [1, 2]
    assert [each.record.offset for each in waiting(letters, {}, reasons=["decode"])] == [0, 2]
    assert [each.record.offset for each in waiting(letters, {}, reasons=["DecodeError", "InvalidEvent"])] == [0, 1]


def test_a_reason_that_no_letter_has_is_told_with_those_that_there_are() -> None:
    letters = [letter(0, "DecodeError", "decode"), letter(1, "InvalidEvent", "validate"), letter(2, "X", "decode")]
    letters.append(letter(3, "InvalidEvent", "validate"))
    require_reasons(letters, ["decode", "InvalidEvent"])
    with pytest.raises(InvalidInput) as error:
        require_reasons(letters, ["decode", "Decode", "None"])
    there = "expected one of: InvalidEvent (validate, 2), DecodeError (decode, 1), X (decode, 1)"
    assert error.value.problems == [f"--reason {name}: no dead letter has it; {there}" for name in ("Decode", "None")]
    with pytest.raises(InvalidInput, match="there are no dead letters at all"):
        require_reasons([], ["decode"])
    require_reasons([], [])


def test_large_letters_are_sent_in_smaller_parts_and_none_is_left_out() -> None:
    facts = DeadLetter("in", 0, 0, 0, "decode", "X", "why")
    sizes = [20_000_000, 20_000_000, 5, 40_000_000, *[10] * 1200]
    letters = [Letter(record("dead", value=None, offset=n), facts, size) for n, size in enumerate(sizes)]
    parts = list(parts_of(letters))
    assert [each for part in parts for each in part] == letters
    assert [len(part) for part in parts] == [1, 2, 1, 500, 500, 200]
