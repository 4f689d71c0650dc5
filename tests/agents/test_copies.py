"""Topics that one broker's death would harm: told, and no reason to stop."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from hypothesis import given
from hypothesis import strategies as st

import agents.topic_admin
import agents.topics
from agents.cli.context import Cli
from agents.cli.main import run
from agents.copies import Copies, dangers
from agents.topics import topic_warnings
from tests.agents.control_kit import settings_of

SETTINGS = settings_of("nowhere:1", "ns", Path("/nowhere"))
REFUSED = "no right to see"
MIN_IN_SYNC = "kafka-configs --alter --topic t --add-config min.insync.replicas=2"


def test_three_copies_of_which_two_are_written_are_no_danger() -> None:
    assert dangers({"t": Copies(3, 2)}, n_brokers=3) == []


def test_a_single_copy_is_told_once_with_what_to_do() -> None:
    (line,) = dangers({"t": Copies(1, 1)}, n_brokers=5)
    assert line.startswith("topic t is kept by 1 of 5 brokers, expected 3: ")
    assert "kafka-reassign-partitions" in line


def test_a_write_that_waits_for_one_broker_only_is_told_with_what_to_do() -> None:
    (line,) = dangers({"t": Copies(3, 1)}, n_brokers=3)
    assert line.startswith("topic t has min.insync.replicas 1, expected 2: ")
    assert line.endswith(f"run `{MIN_IN_SYNC}`")


def test_two_copies_become_three_before_a_write_waits_for_two() -> None:
    (line,) = dangers({"t": Copies(2, 1)}, n_brokers=3)
    assert "give it 3 copies instead of 2, then run" in line


def test_what_nobody_may_tell_us_is_no_danger() -> None:
    assert dangers({"t": Copies(3, None)}, n_brokers=3) == []


@given(st.integers(1, 9), st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 2))
def test_where_there_are_fewer_than_three_brokers_nothing_is_told(
    kept: int, in_sync: int | None, n_brokers: int
) -> None:
    assert dangers({"t": Copies(kept, in_sync)}, n_brokers=n_brokers) == []


class Admin:
    """Kafka as aiokafka's admin client shows it: topics by name, with the copies of each partition."""

    n_brokers = 3
    kept: dict[str, tuple[list[int], str]] = {}

    def __init__(self, **_: object) -> None:
        self.asked: list[str] = []

    async def start(self) -> None: ...
    async def close(self) -> None: ...

    async def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [{"node_id": number} for number in range(self.n_brokers)]}

    async def describe_topics(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        assert names is None, "asking by name might make them"
        return [
            {"topic": name, "error_code": 0, "partitions": [{"replicas": list(range(count))} for count in counts]}
            for name, (counts, _) in self.kept.items()
        ]

    async def describe_configs(self, resources: Iterable[Any]) -> list[Any]:
        asked = [resource.name for resource in resources]
        return [SimpleNamespace(resources=[self._config(name) for name in asked])]

    def _config(self, name: str) -> tuple[Any, ...]:
        in_sync = self.kept[name][1]
        if in_sync == REFUSED:
            return TopicAuthorizationFailedError.errno, "Topic authorization failed.", 2, name, []
        return 0, None, 2, name, [("min.insync.replicas", in_sync)]


@pytest.fixture
def kafka_says(monkeypatch: pytest.MonkeyPatch) -> type[Admin]:
    class Ours(Admin):
        kept = {
            "ns.documents": ([3, 3], "2"),
            "ns.enriched": ([3, 1], "1"),
            "ns.replays": ([3], "1"),
            "ns.routes.fraud": ([3], "1"),
            "__consumer_offsets": ([1], REFUSED),
            "__transaction_state": ([3], REFUSED),
            "of.others": ([1], "1"),
        }

    monkeypatch.setattr(agents.topic_admin, "AIOKafkaAdminClient", Ours)
    return Ours


@pytest.mark.usefixtures("kafka_says")
async def test_topics_of_ours_and_kafkas_own_are_looked_at_and_nobody_elses() -> None:
    told = await topic_warnings(SETTINGS, routes=["fraud"])
    assert [line.split(":")[0] for line in told] == [
        "topic __consumer_offsets is kept by 1 of 3 brokers, expected 3",
        "topic ns.enriched is kept by 1 of 3 brokers, expected 3",
        "topic ns.replays has min.insync.replicas 1, expected 2",
        "topic ns.routes.fraud has min.insync.replicas 1, expected 2",
    ]


async def test_of_topics_whose_settings_nobody_may_tell_us_only_the_copies_are_looked_at(
    kafka_says: type[Admin],
) -> None:
    kafka_says.kept = {"ns.documents": ([3], "1"), "ns.enriched": ([1], REFUSED), "ns.replays": ([3], REFUSED)}
    told = await topic_warnings(SETTINGS)
    assert [line.split(":")[0] for line in told] == [
        "topic ns.documents has min.insync.replicas 1, expected 2",
        "topic ns.enriched is kept by 1 of 3 brokers, expected 3",
    ]


async def test_one_broker_that_keeps_everything_is_not_told(kafka_says: type[Admin]) -> None:
    kafka_says.n_brokers = 1
    assert await topic_warnings(SETTINGS, routes=["fraud"]) == []


class Registry:
    def all(self, _: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="fraud")]


class Client:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def registry(self) -> Registry:
        return Registry()


@pytest.fixture
def check(kafka_says: type[Admin], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ``topics check`` finds wrong, to be changed."""
    wrong: list[str] = []

    async def problems(*_: object, **__: object) -> list[str]:
        return wrong

    monkeypatch.setattr(agents.topics, "check_topics", problems)
    monkeypatch.setattr(Cli, "client", lambda _: Client())
    return wrong


WORDS = ["topics", "check", "--namespace", "ns", "--brokers", "nowhere:1"]


def test_a_danger_is_a_warning_line_and_no_failure(check: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WORDS) == 0
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("warning: topic ") for line in lines)
    assert "all topics of ns are as they must be" in said.out


def test_machines_get_dangers_apart_from_problems(check: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*WORDS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert len(found["warnings"]) == 4


def test_beside_a_problem_dangers_are_told_too_and_the_check_fails(
    check: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    check.append("topic ns.jobs is missing")
    assert run(WORDS) == 1
    said = capsys.readouterr().err
    assert "warning: topic ns.enriched is kept by 1" in said
    assert "lexstream: topic ns.jobs is missing" in said
