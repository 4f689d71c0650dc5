"""The commands against a real Kafka: topics, publish, watch, events, dead letters and their replay."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from agents.cli.main import run
from agents.client import Client
from agents.replay import REPLAY_HEADER, Letter, read_letters, replay, with_values
from agents.settings import load_settings
from schemas.dead_letters import dead_letter_headers
from schemas.errors import DecodeError, EventError, InvalidEvent

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


def dead_letters(kafka: str, namespace: str, errors: list[EventError]) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for offset, error in enumerate(errors):
        headers: list[tuple[str, str | bytes | None]] = [
            *dead_letter_headers(
                [("trace", b"t%d" % offset)],
                topic=f"{namespace}.documents",
                partition=1,
                offset=offset,
                timestamp_ms=1_700_000_000_000,
                error=error,
            )
        ]
        producer.produce(f"{namespace}.dead-letters", b"\xffvalue %d" % offset, b"key", headers=headers, partition=0)
    assert producer.flush(20) == 0


def committed(
    kafka: str, topic: str, partition: int
) -> list[tuple[bytes | None, bytes | None, dict[str, str | bytes | None]]]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "reader", "isolation.level": "read_committed"})
    where = TopicPartition(topic, partition, OFFSET_BEGINNING)
    consumer.assign([where])
    _, end = consumer.get_watermark_offsets(where, timeout=10)
    found = []
    while (position := consumer.position([where])[0].offset) < end:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append((message.key(), message.value(), dict(message.headers() or [])))
        elif message is None and position >= 0 and consumer.position([where])[0].offset == position:
            break  # only transaction markers are left
    consumer.close()
    return found


def test_topics_are_made_once_and_checked(cli: Command, namespace: str) -> None:
    assert cli("topics", "create") == [{"created": []}]
    assert cli("topics", "check") == [{"problems": []}]
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


def test_dead_letters_are_listed_shown_and_counted(
    cli: Command, kafka: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dead_letters(kafka, namespace, [DecodeError("broken"), InvalidEvent("no text"), DecodeError("broken too")])
    listed = cli("dead-letters", "list", "--reason", "DecodeError")[0]
    assert [letter["offset"] for letter in listed] == [0, 2]
    assert listed[0]["value"] == {"base64": "/3ZhbHVlIDA="}
    assert run(["dead-letters", "list"]) == 0
    said = capsys.readouterr().out
    assert "3 in all: 2 DecodeError, 1 InvalidEvent" in said
    assert run(["dead-letters", "show", "0:1"]) == 0
    assert "no text" in capsys.readouterr().out
    assert run(["dead-letters", "show", "0:99"]) == 1
    assert run(["watch", "--topic", "dead-letters", "--from-beginning", "--count", "3", "--timeout", "9"]) == 0
    assert "✗ key" in capsys.readouterr().out


def test_dead_letters_are_counted_without_their_values(cli: Command, kafka: str, namespace: str) -> None:
    assert cli("dead-letters", "list")[0] == []
    dead_letters(kafka, namespace, [DecodeError(str(number)) for number in range(3)])

    async def read() -> tuple[list[Letter], list[Letter]]:
        async with Client(load_settings()) as client:
            letters = await read_letters(client)
            return letters, await with_values(client.settings, letters[1:])

    letters, whole = asyncio.run(read())
    assert [letter.record.value for letter in letters] == [None] * 3
    assert [letter.size for letter in letters] == [len(b"\xffvalue 0")] * 3
    assert [letter.record.value for letter in whole] == [b"\xffvalue 1", b"\xffvalue 2"]


def test_each_dead_letter_is_replayed_once_whatever_the_filter(cli: Command, kafka: str, namespace: str) -> None:
    dead_letters(kafka, namespace, [DecodeError("0"), InvalidEvent("1"), DecodeError("2"), InvalidEvent("3")])
    assert cli("dead-letters", "replay", "--dry-run")[0]["letters"] == 4
    counts = [cli("dead-letters", "replay", *words)[0]["letters"] for words in (("--reason", "InvalidEvent"), (), ())]
    assert counts == [2, 2, 0]
    sent = committed(kafka, f"{namespace}.documents", 1)
    assert [value for _, value, _ in sent] == [b"\xffvalue %d" % number for number in (1, 3, 0, 2)]
    key, _, headers = sent[0]
    assert key == b"key"
    assert headers == {"trace": b"t1", REPLAY_HEADER: f"{namespace}.dead-letters/0/1".encode()}
    dead_letters(kafka, namespace, [DecodeError("new")])
    assert cli("dead-letters", "replay")[0]["letters"] == 1


def test_a_replay_that_breaks_midway_is_taken_up_again(
    cli: Command, kafka: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.replay._TRANSACTION_LETTERS", 2)
    dead_letters(kafka, namespace, [DecodeError(str(number)) for number in range(5)])

    def breaks(count: int) -> None:
        raise ConnectionError

    async def broken_replay() -> None:
        async with Client(load_settings()) as client:
            await replay(client, reasons=[], sent=breaks)

    with pytest.raises(ConnectionError):
        asyncio.run(broken_replay())
    assert cli("dead-letters", "replay")[0]["letters"] == 3
    sent = committed(kafka, f"{namespace}.documents", 1)
    assert [value for _, value, _ in sent] == [b"\xffvalue %d" % number for number in range(5)]


def test_two_replays_at_once_send_each_letter_once(cli: Command, kafka: str, namespace: str) -> None:
    dead_letters(kafka, namespace, [DecodeError(str(number)) for number in range(50)])

    async def one() -> object:
        async with Client(load_settings()) as client:
            return await replay(client, reasons=[], sent=lambda _: None)

    async def both() -> None:
        await asyncio.gather(one(), one(), return_exceptions=True)

    asyncio.run(both())
    cli("dead-letters", "replay")
    sent = [value or b"" for _, value, _ in committed(kafka, f"{namespace}.documents", 1)]
    assert sorted(sent) == sorted(b"\xffvalue %d" % number for number in range(50))
