"""When a command has ended: pure decisions of the client's side. And how a client leaves."""

import asyncio

import pytest

from agents import hanging_up
from agents.client import ANSWER_S, SERVE_S, Client, Outcome
from agents.settings import Settings
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
from tests.agents.fakes import LateProducer

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


async def test_who_leaves_does_not_wait_for_a_kafka_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hanging_up, "_STOP_S", 0.2)
    client, producer = Client(Settings()), LateProducer()
    monkeypatch.setattr(client, "_producer", producer)
    async with asyncio.timeout(5):
        await client.__aexit__()
    assert producer.client.closed
