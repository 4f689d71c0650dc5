"""Dead letters on a real Kafka: listed, shown and sent back, judged by confluent-kafka."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka.admin import AdminClient

from agents.cli.main import run
from agents.client import Client
from agents.letters import Selection, letters_of
from agents.replay import replay
from agents.replayed import look_up_replayed
from agents.settings import Settings, load_settings
from schemas.dead_letters import REPLAY_ATTEMPTS, REPLAYED_FROM, Headers
from schemas.errors import DecodeError, EventError, Fenced, InvalidEvent, TasksFailed
from tests.agents.dead_letter_kit import headers_of, read_committed, write
from tests.broker import create_topics

pytestmark = pytest.mark.broker
Command = Callable[..., Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(
    kafka: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command of dead-letters with --json and returns the last line of its stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEXSTREAM_BROKERS", kafka)
    monkeypatch.setenv("LEXSTREAM_NAMESPACE", namespace)
    monkeypatch.setenv("LEXSTREAM_GROUP", namespace)
    assert run(["topics", "create", "--partitions", "2"]) == 0

    def call(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run(["dead-letters", *words, "--json"]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return call


@pytest.fixture
def die(kafka: str, namespace: str) -> Callable[..., None]:
    """Writes dead letters of documents/1, one for each error, the first as if from offset 0."""

    def write_all(*errors: EventError, partition: int = 0, **made: Any) -> None:
        topic = made.pop("topic", f"{namespace}.documents")
        letters = [
            (b"key %d" % n, b"\xffvalue %d" % n, headers_of(error, n, topic=topic, **made))
            for n, error in enumerate(errors)
        ]
        write(kafka, f"{namespace}.dead-letters", letters, partition=partition)

    return write_all


def values(kafka: str, topic: str) -> list[bytes]:
    return [message.value() or b"" for message in read_committed(kafka, topic, 2)]


def nth(*numbers: int) -> list[bytes]:
    return [b"\xffvalue %d" % number for number in numbers]


@pytest.mark.parametrize("command", ["list", "replay"])
def test_a_source_that_is_not_there_is_refused(
    command: str, cli: Command, die: Callable[..., None], namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    die(DecodeError("broken"))
    cli(command, "--source", "requests")  # is there, and nothing of it failed
    for source, said in {
        "nothere": "--source: the topic nothere does not exist",
        "documents/2": f"--source {namespace}.documents/2: {namespace}.documents has only 2 partitions, from 0 on",
    }.items():
        assert run(["dead-letters", command, "--source", source]) == 1
        assert capsys.readouterr().err.splitlines() == [f"lexstream: {said}"]


def test_letters_are_listed_and_counted_by_reason_and_source(
    cli: Command, die: Callable[..., None], namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("list") == []
    die(DecodeError("broken"), InvalidEvent("no text"), DecodeError("broken too"))
    die(TasksFailed("nobody"), topic=f"{namespace}.requests", partition=1)
    listed = cli("list", "--reason", "DecodeError")
    assert [(each["offset"], each["value"]) for each in listed] == [
        (0, {"base64": "/3ZhbHVlIDA="}),
        (2, {"base64": "/3ZhbHVlIDI="}),
    ]
    assert listed[0]["source"] == {
        "topic": f"{namespace}.documents",
        "partition": 1,
        "offset": 0,
        "timestampMs": 1_700_000_000_000,
    }
    assert listed[0]["error"] == {"stage": "decode", "reason": "DecodeError", "message": "broken"}
    assert (listed[0]["replayed"], listed[0]["attempts"]) == (False, 0)
    assert [each["offset"] for each in cli("list", "--source", "documents/1@1-2")] == [1, 2]
    assert [each["error"]["message"] for each in cli("list", "--source", "requests")] == ["nobody"]
    assert [each["error"]["message"] for each in cli("list", "--limit", "1", "--source", "documents")] == ["broken too"]
    assert len(cli("list", "--since", "1h")) == 4
    assert cli("list", "--until", "1h") == []
    counts = cli("list", "--counts", "--since", "1h")
    assert counts["letters"] == 4
    assert {(each["reason"], each["letters"]) for each in counts["reasons"]} == {
        ("DecodeError", 2),
        ("InvalidEvent", 1),
        ("TasksFailed", 1),
    }
    assert {(each["topic"], each["partition"], each["letters"]) for each in counts["sources"]} == {
        (f"{namespace}.documents", 1, 3),
        (f"{namespace}.requests", 1, 1),
    }
    assert run(["dead-letters", "list"]) == 0
    assert "4 dead letters" in capsys.readouterr().out
    assert run(["watch", "--from-beginning", "--timeout", "0.5"]) == 0
    assert "0 documents, 4 dead letters (2 DecodeError, " in capsys.readouterr().err
    assert run(["dead-letters", "list", "--reason", "Decode"]) == 1
    assert "expected one of: DecodeError (decode, 2), " in capsys.readouterr().err


def test_a_letter_is_shown_and_its_exact_bytes_are_saved(
    cli: Command, die: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    die(DecodeError("broken"), InvalidEvent("no text"))
    assert run(["dead-letters", "show", "0:1", "--save", "event.bin"]) == 0
    shown = capsys.readouterr().out
    assert "no text" in shown
    assert "ff 76 61 6c 75 65 20 31" in shown
    assert (tmp_path / "event.bin").read_bytes() == b"\xffvalue 1"
    assert run(["dead-letters", "show", "0:1", "--save", "event.bin"]) == 1
    assert "event.bin exists and stays as it is" in capsys.readouterr().err
    assert cli("show", "0:0")["value"] == {"base64": "/3ZhbHVlIDA="}
    for absent in ("0:2", "9:0"):
        assert run(["dead-letters", "show", absent]) == 1
        assert f"there is no dead letter {absent}" in capsys.readouterr().err


def test_each_letter_is_replayed_once_whatever_the_filter_and_shown_as_replayed(
    cli: Command, die: Callable[..., None], kafka: str, namespace: str
) -> None:
    die(DecodeError("0"), InvalidEvent("1"), DecodeError("2"), InvalidEvent("3"))
    assert cli("replay", "--dry-run") == {
        "letters": 4,
        "reasons": {"DecodeError": 2, "InvalidEvent": 2},
        "refused": {},
        "sent": False,
    }
    words = (("--reason", "InvalidEvent"), ("--source", "documents/1@2-"), ("--until", "1h"), (), ())
    assert [cli("replay", *each)["letters"] for each in words] == [2, 1, 0, 1, 0]
    sent = read_committed(kafka, f"{namespace}.documents", 2)
    assert [message.value() for message in sent] == nth(1, 3, 2, 0)
    assert [message.key() for message in sent] == [b"key 1", b"key 3", b"key 2", b"key 0"]
    assert {message.partition() for message in sent} == {1}
    assert dict(sent[0].headers() or []) == {
        "trace": b"t1",
        REPLAYED_FROM: f"{namespace}.dead-letters/0/1".encode(),
        REPLAY_ATTEMPTS: b"1",
    }
    die(DecodeError("new"))
    assert [each["replayed"] for each in cli("list")] == [True] * 4 + [False]
    assert cli("list", "--counts")["replayed"] == 4
    assert cli("show", "0:0")["replayed"] is True
    assert cli("replay")["letters"] == 1


def test_what_fails_again_after_each_replay_is_left_out_in_the_end(
    cli: Command, kafka: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    documents, dead = f"{namespace}.documents", f"{namespace}.dead-letters"
    write(kafka, dead, [(b"k", b"{", headers_of(DecodeError("0"), 0, topic=documents))])
    for attempt in (1, 2, 3):
        assert cli("replay")["letters"] == 1
        event = read_committed(kafka, documents, 2)[-1]
        original = cast(Headers, event.headers())
        assert dict(original)[REPLAY_ATTEMPTS] == b"%d" % attempt
        failed = headers_of(DecodeError("again"), event.offset() or 0, topic=documents, original=original)
        write(kafka, dead, [(event.key(), event.value(), failed)])
    assert cli("replay", code=1) == {"letters": 0, "reasons": {}, "refused": {"FAILED_AGAIN": 1}, "sent": True}
    assert cli("list")[-1]["attempts"] == 3
    assert run(["dead-letters", "replay"]) == 1
    assert "1 left out: failed again after every attempt" in capsys.readouterr().err
    assert len(read_committed(kafka, documents, 2)) == 3
    assert cli("replay", "--max-attempts", "4")["letters"] == 1


def test_what_cannot_go_back_is_left_out_and_the_others_go(
    cli: Command, die: Callable[..., None], kafka: str, namespace: str
) -> None:
    die(DecodeError("gone"), topic="no-such-topic")
    die(DecodeError("ours"), topic=f"{namespace}.control")
    die(DecodeError("good"))
    write(
        kafka,
        f"{namespace}.dead-letters",
        [(None, None, headers_of(InvalidEvent("null"), 0, topic=f"{namespace}.documents"))],
    )
    report = cli("replay")
    assert (report["letters"], report["refused"]) == (2, {"NO_TOPIC": 1, "NO_INPUT": 1})
    assert [message.value() for message in read_committed(kafka, f"{namespace}.documents", 2)] == [b"\xffvalue 0", None]
    assert read_committed(kafka, f"{namespace}.control") == []


def test_of_replays_at_the_same_time_each_letter_is_sent_by_one(
    cli: Command, die: Callable[..., None], kafka: str, namespace: str
) -> None:
    die(*(DecodeError(str(number)) for number in range(50)))

    async def one() -> object:
        async with Client(load_settings()) as client:
            return await replay(client, Selection())

    async def both() -> list[object]:
        return [*await asyncio.gather(one(), one(), return_exceptions=True)]

    results = asyncio.run(both())
    assert {type(each) for each in results if isinstance(each, BaseException)} <= {Fenced}
    cli("replay")
    assert values(kafka, f"{namespace}.documents") == nth(*range(50))


def test_a_node_that_has_not_heard_of_the_topic_of_replays_makes_no_letter_come_twice(
    cli: Command, die: Callable[..., None], kafka: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_settings: Settings) -> dict[str, list[int]]:
        return {}

    die(DecodeError("0"))
    assert cli("replay")["letters"] == 1
    monkeypatch.setattr("agents.replayed.existing_topics", nothing)
    assert cli("replay")["letters"] == 0
    assert values(kafka, f"{namespace}.documents") == nth(0)


def test_a_replay_of_a_topic_that_was_made_anew_ends_whatever_its_filter_before_letters_are_left_out(
    cli: Command, die: Callable[..., None], kafka: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    die(DecodeError("0"), DecodeError("1"))
    assert cli("replay")["letters"] == 2
    dead = f"{namespace}.dead-letters"
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([dead], operation_timeout=10)[dead].result(20)
    create_topics(kafka, dead, partitions=2)
    die(DecodeError("new 0"), DecodeError("new 1"))
    since = datetime.now(UTC).isoformat()
    die(TasksFailed("new 2"))
    for words in ((), ("--reason", "TasksFailed"), ("--since", since)):
        assert run(["dead-letters", "replay", *words]) == 1
        assert "the topic was made anew; delete the topic of the replays" in capsys.readouterr().err
    assert len(values(kafka, f"{namespace}.documents")) == 2


@pytest.mark.slow
def test_a_replay_that_is_killed_and_repeated_loses_and_duplicates_nothing(
    cli: Command, die: Callable[..., None], kafka: str, namespace: str
) -> None:
    total, seed = 1500, random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    die(*(DecodeError(str(number)) for number in range(total)))
    words = [sys.executable, "-m", "tests.agents.replayer", kafka, namespace]
    progress = []
    for _ in range(3):
        with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            for _line in range(chance.randrange(1, 10)):
                assert process.stdout.readline() == b"sending\n", f"seed {seed}: it ended before it was killed"
            time.sleep(chance.uniform(0, 0.03))
            process.kill()
        progress.append(len(values(kafka, f"{namespace}.documents")))
    assert progress[-1] < total, "every kill hit a replay at work"
    assert cli("replay")["letters"] >= total - max(progress) - 20
    assert values(kafka, f"{namespace}.documents") == nth(*range(total)), f"seed {seed}, progress {progress}"
    assert all(each["replayed"] for each in cli("list", "--limit", str(total)))


def test_a_pass_over_many_letters_keeps_none_of_them_and_says_how_far_it_is(
    cli: Command, die: Callable[..., None]
) -> None:
    die(*(DecodeError(str(number)) for number in range(2000)))
    said: list[tuple[int, int]] = []

    async def pass_over() -> list[int]:
        async with Client(load_settings()) as client:
            assert len((await look_up_replayed(client))._chunks) == 0
            async with letters_of(client, advanced=lambda done, total: said.append((done, total))) as batches:
                return [len(batch) async for batch in batches]

    sizes = asyncio.run(pass_over())
    assert sum(sizes) == 2000
    assert max(sizes) <= 500
    assert said[-1] == (2000, 2000)
    assert said == sorted(said)
