"""The commands against a real Kafka: topics, publish, watch and events."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.cli.main import run

pytestmark = pytest.mark.broker
Command = Callable[..., Any]


@pytest.fixture
def cli(
    kafka: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command with --json and returns the lines of its stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEXSTREAM_BROKERS", kafka)
    monkeypatch.setenv("LEXSTREAM_NAMESPACE", namespace)
    monkeypatch.setenv("LEXSTREAM_GROUP", namespace)

    def call(*words: str, code: int = 0) -> list[Any]:
        capsys.readouterr()
        assert run([*words, "--json"]) == code, capsys.readouterr().err
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    call("topics", "create", "--partitions", "2")
    return call


def test_topics_are_made_once_and_checked(cli: Command, namespace: str) -> None:
    assert cli("topics", "create") == [{"created": []}]
    assert cli("topics", "check") == [{"problems": [], "warnings": []}]
    problems = cli("topics", "check", "--lane", "absent:too", code=1)[0]["problems"]
    assert any("absent" in problem for problem in problems)


def test_all_kinds_of_files_are_published_and_can_be_watched(
    cli: Command, tmp_path: Path, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "letters"
    (folder / "inside").mkdir(parents=True)
    (folder / "a.txt").write_text("first\r\nletter", newline="")
    (folder / "inside" / "b.txt").write_text("second letter")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "empty.txt").write_text(" \n")
    (folder / "c.jsonl").write_text('{"id": "own", "text": "third", "more": 1}\n\n{"text": "fourth", "language": "de"}')
    options = ("--task", "loans/production", "--task", "loans/staging", "--language", "fr")
    assert run(["publish", str(folder), *options]) == 1
    assert "there is no such deployment; expected one of: none yet; nothing was sent" in capsys.readouterr().err
    sent = cli("publish", str(folder), *options, "--force")[0]
    assert (sent["topic"], sent["documents"]) == (f"{namespace}.documents", 4)
    assert sorted(sent["skipped"]) == [str(folder / "empty.txt"), str(folder / "picture.png")]
    seen = cli("watch", "--topic", "documents", "--from-beginning", "--count", "4", "--timeout", "20")
    by_id = {document["id"]: document for document in seen}
    assert sorted(by_id) == ["a.txt", "c-3", "inside/b.txt", "own"]
    assert by_id["a.txt"]["text"] == "first\r\nletter"
    assert by_id["own"]["more"] == 1
    assert by_id["c-3"]["language"] == "de"
    assert by_id["own"]["language"] == "fr"
    assert by_id["own"]["tasks"] == [
        {"project": "loans", "deployment": "production"},
        {"project": "loans", "deployment": "staging"},
    ]


def test_nothing_is_sent_if_one_document_is_wrong(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"text": "good"}\n{"text": 5}\n')
    cli("publish", "d.jsonl", code=1)
    assert cli("watch", "--topic", "documents", "--from-beginning", "--timeout", "0.3") == []


def test_one_key_keeps_the_order(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("".join(f'{{"id": "{number}", "text": "x"}}\n' for number in range(300)))
    assert len(cli("publish", "d.jsonl", "--key", "one")[0]["partitions"]) == 1
    seen = cli("watch", "--topic", "documents", "--from-beginning", "--count", "300", "--timeout", "20")
    assert [document["id"] for document in seen] == [str(number) for number in range(300)]


def test_watching_for_more_than_comes_is_an_error(cli: Command, capsys: pytest.CaptureFixture[str]) -> None:
    cli("watch", "--count", "1", "--timeout", "0.2", code=1)
    assert run(["watch", "--count", "1", "--timeout", "0.2"]) == 1
    assert "0 of 1 came within 0.2 s" in capsys.readouterr().err
    assert cli("events", "--timeout", "0.2") == []


def test_a_missing_topic_is_named(cli: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "--topic", "routes.nowhere"]) == 1
    assert "routes.nowhere does not exist" in capsys.readouterr().err


def test_an_empty_registry_lists_nothing(cli: Command, capsys: pytest.CaptureFixture[str]) -> None:
    for noun in ("project", "models", "deployments", "jobs", "routes"):
        assert cli(noun, "list") == [[]]
    assert run(["project", "show", "loans"]) == 1
    assert "there is no project loans" in capsys.readouterr().err
