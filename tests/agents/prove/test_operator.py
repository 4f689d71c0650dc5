"""The operator with a producer that keeps what it is given."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agents.prove.commands import CommandBook
from agents.prove.operator import AGAIN_S, SWAP_EVERY_S, Operator, echo_models
from agents.settings import Settings


class FakeProducer:
    def __init__(self, _options: object) -> None:
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    def produce(self, topic: str, *, key: bytes, value: bytes) -> None:
        self.sent.append((topic, key.decode(), json.loads(value)))

    def poll(self, _seconds: float) -> None:
        """All is delivered at once."""

    def flush(self, _seconds: float) -> int:
        return 0


class Desk:
    """An operator, what it sent, and the log that it reads."""

    def __init__(self, folder: Path, *, trains: bool = True) -> None:
        settings = Settings(namespace="n", store=(folder / "store").as_uri())
        self.book = CommandBook()
        self.operator = Operator(settings, self.book, seed=1, models=echo_models(), kind="CustomEntityRecognition")
        self.operator.start(trains=trains)

    @property
    def sent(self) -> list[tuple[str, str, dict[str, Any]]]:
        found: list[tuple[str, str, dict[str, Any]]] = self.operator._producer.sent
        return found

    def commands(self, name: str) -> list[dict[str, Any]]:
        return [value for topic, _, value in self.sent if topic == "n.control" and value["command"] == name]

    def accept_all(self, *, ends: bool = False) -> None:
        for command_id, handed in list(self.book.handed.items()):
            if not self.book.accepted(command_id):
                self.book.event({"commandId": command_id, "event": "accepted", "details": {}})
            if ends and handed.command == "deploy" and not self.book.served(command_id):
                self.book.event({"commandId": command_id, "event": "succeeded", "details": {"worker": "a"}})
            if ends and handed.command == "train" and not self.book.ended(command_id):
                details = {"jobId": command_id}
                self.book.event({"commandId": command_id, "event": "succeeded", "details": details})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("confluent_kafka.Producer", FakeProducer)
    return Desk(tmp_path)


def test_every_command_is_handed_in_twice_at_once_and_again_when_it_has_long_been_done(desk: Desk) -> None:
    assert Counter(value["id"] for value in desk.commands("createProject")).most_common() == [
        (desk.commands("createProject")[0]["id"], 2),
        (desk.commands("createProject")[-1]["id"], 2),
    ]
    desk.operator.look_after(AGAIN_S[1], swaps=False)
    assert {value["id"]: 3 for _, _, value in desk.sent} == Counter(value["id"] for _, _, value in desk.sent)
    assert desk.book.n_messages == 3 * len(desk.book.handed)


def test_models_are_written_and_deployed_only_when_the_project_is_there(desk: Desk) -> None:
    assert not desk.operator.deployed()
    assert desk.commands("deploy") == []
    desk.accept_all()
    assert not desk.operator.deployed()
    records = [key for topic, key, _ in desk.sent if topic == "n.registry"]
    assert records[:2] == ["model/prove/v1", "model/prove/v2"]
    assert [value["parameters"]["modelLabel"] for value in desk.commands("deploy")] == ["v1", "v1"]
    desk.accept_all()
    assert desk.operator.deployed()


def test_another_model_is_deployed_every_few_seconds_and_one_trained_after_the_other(desk: Desk) -> None:
    desk.accept_all()
    desk.operator.deployed()
    for _ in range(2):
        desk.operator.look_after(0.0, swaps=True)
    desk.operator.look_after(SWAP_EVERY_S, swaps=True)
    labels = [value["parameters"]["modelLabel"] for value in desk.commands("deploy")]
    assert list(dict.fromkeys(labels)) == ["v1", "v2", "v3"]
    desk.operator.look_after(60.0, swaps=True)
    assert {value["parameters"]["modelLabel"] for value in desk.commands("train")} == {"trained-1"}
    desk.accept_all(ends=True)
    desk.operator.look_after(61.0, swaps=True)
    assert {value["parameters"]["modelLabel"] for value in desk.commands("train")} == {"trained-1", "trained-2"}


def test_all_is_settled_when_a_last_deployment_behind_all_repetitions_is_served(desk: Desk) -> None:
    desk.accept_all()
    desk.operator.deployed()
    desk.operator.look_after(0.0, swaps=True)
    desk.accept_all()
    assert not desk.operator.settled(1.0), "repetitions wait"
    desk.operator.look_after(2 * AGAIN_S[1], swaps=False)
    assert not desk.operator.settled(30.0), "a training runs"
    desk.accept_all(ends=True)
    n_before = len(desk.sent)
    assert not desk.operator.settled(30.0)
    assert len(desk.sent) == n_before + 1
    assert desk.operator.last_s == 30.0
    desk.accept_all()
    assert not desk.operator.settled(31.0), "no worker serves it"
    desk.accept_all(ends=True)
    assert desk.operator.settled(32.0)
    assert (len(desk.sent), desk.operator.last_s) == (n_before + 1, 30.0)


def test_without_trainings_there_are_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("confluent_kafka.Producer", FakeProducer)
    desk = Desk(tmp_path, trains=False)
    desk.accept_all()
    desk.operator.deployed()
    desk.operator.look_after(60.0, swaps=True)
    assert {handed.command for handed in desk.book.handed.values()} == {"createProject", "deploy"}
