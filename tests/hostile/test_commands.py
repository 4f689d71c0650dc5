"""Commands that nobody wrote in good faith, through Faust and the controller on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.broker.address import free_port
from agents.cli.main import run
from agents.control.reading import MAX_COMMAND_BYTES, Invalid, read_command
from agents.settings import Settings
from agents.topics import create_topics
from schemas.commands import COMMAND
from schemas.control_events import MAX_SENTENCES
from schemas.records import CommandRecord, ProjectRecord
from tests.agents.control_kit import Outside, Running, command, named, settings_of
from tests.agents.echo import project
from tests.agents.test_hotloop_broker import publish
from tests.agents.test_worker_broker import ended, record, start, wait_until_ready
from tests.hostile.grammar import examples, junk
from tests.hostile.raw_batches import Message, RawBatch, send_raw

KINDS = sorted(COMMAND.json_schema()["discriminator"]["mapping"])
RIGHT: dict[str, Any] = {
    "kind": "CustomEntityRecognition",
    "bundle": "sha256:" + "0" * 64,
    "modelLabel": "v1",
    "deployment": "production",
    "jobId": "j",
    "first": "a",
    "second": "b",
    "name": "route",
    "rule": {"any": ["x"] * 200},
    "encoder": "../../../etc/passwd",
}


def hostile(kind: str, number: int, parameters: Any, **more: Any) -> bytes:
    given = {"id": f"{kind}-{number}", "command": kind, "project": "loans", "parameters": parameters}
    return orjson.dumps(given | more)


def payloads() -> list[bytes]:
    """Each kind of command with parameters of the wrong type, too many, too long, none."""
    wrong: list[Any] = examples(junk, 12)
    names = ["", "a" * 51, "../x", "a\nb", "é", "\u202e", "\x00", "a/b"]
    found = []
    for kind in KINDS:
        all_parameters: list[Any] = [
            *wrong,
            RIGHT,
            {f"field{i}": i for i in range(5000)},
            {"x" * 100_000: 1},
            {"rule": {"any": [0] * 50_000}, "name": "r"},
            *[dict.fromkeys(RIGHT, name) for name in names],
        ]
        found += [hostile(kind, i, given) for i, given in enumerate(all_parameters)]
    return found


ODD = [
    None,
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'"' + b"x" * 100_000 + b'"',
    b"[" * 100_000,
    b'{"command": "' + b"\\u0000" * 30_000 + b'"}',
    b'{"command": "deleteProject", "command": "fly", "project": "loans"}',
    b'{"command": "deleteProject", "project": "loans", "at": 1e308}',
    b'{"command": "deleteProject", "project": "loans", "id": "' + b"i" * 201 + b'"}',
    b'{"command": "deleteProject", "project": NaN}',
    b'{"command": "deleteProject", "project": "\\ud800"}',
    b'{"command": "train", "project": "loans", "parameters": {"modelLabel": "v", "epochs": ' + b"9" * 5000 + b"}}",
    b" " * 7_000_000,
]
CREATE = command("createProject", id="c1", kind="CustomEntityRecognition")


@pytest.mark.parametrize("value", [*ODD, *payloads()])
def test_a_hostile_command_is_read_or_refused_in_few_words(value: bytes | None) -> None:
    found = read_command(value)
    if isinstance(found, Invalid):
        said = found.event.details["problems"]
        assert 0 < len(said) <= MAX_SENTENCES + 1
        assert len(orjson.dumps(found.event.payload())) < MAX_COMMAND_BYTES
        assert all("\n" not in each and "\x1b" not in each for each in said)


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    return settings_of(kafka, namespace, tmp_path)


@pytest.fixture
async def outside(settings: Settings) -> AsyncIterator[Outside]:
    async with Outside(settings) as outside:
        yield outside


@pytest.mark.broker
async def test_each_hostile_command_is_answered_and_the_controller_goes_on(
    outside: Outside, settings: Settings
) -> None:
    sent = [value for value in (*ODD, *payloads()[::24]) if value is None or len(value) < 1_000_000]
    unreadable = RawBatch([Message(b"{}", headers=[("HEADER", b"")])], replaced={b"HEADER": b"\xff\xfe\xfd\xfcAB"})
    bomb = RawBatch([Message(b" " * 60_000_000)], "zstd")
    end = command("createProject", "tickets", id="end", kind="CustomEntityRecognition")
    async with Running(settings):
        await outside.hand_in(CREATE, *sent)
        await asyncio.to_thread(send_raw, settings.brokers, settings.topics.control, [(0, unreadable), (0, bomb)])
        await outside.hand_in(end)
        events = await outside.events(until=lambda found: bool(named(found, "end")))
    assert named(events, "end") == ["accepted", "succeeded"]
    ends = [event for event in events if event["event"] in {"rejected", "succeeded"}]
    deleted = sum(event["event"] == "succeeded" for event in ends)
    assert len(ends) >= len(sent) + 2
    assert deleted < len(KINDS) * 2
    records = (await outside.registry()).records.values()
    assert {type(record) for record in records} <= {ProjectRecord, CommandRecord}


@pytest.mark.broker
@pytest.mark.slow
def test_what_nobody_can_read_keeps_neither_a_worker_nor_a_command_from_the_rest(
    settings: Settings, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    topics = settings.topics
    unreadable = RawBatch([Message(b"{}", headers=[("HEADER", b"")])], replaced={b"HEADER": b"\xff\xfe\xfd\xfcAB"})
    bomb = RawBatch([Message(b" " * 60_000_000)], "zstd")
    asyncio.run(create_topics(settings))
    for topic in (topics.registry, topics.control_events):
        send_raw(settings.brokers, topic, [(0, unreadable), (0, bomb)])
    publish(settings, topics.registry, [record(project())])
    place = ["--brokers", settings.brokers, "--namespace", settings.namespace]
    assert run([*place, "project", "list", "--json"]) == 0
    assert "loans" in capsys.readouterr().out
    assert "the registry may lack something: 2 records cannot be read, the first at offset 0: the client" in caplog.text
    assert (
        run([*place, "watch", "--topic", "control-events", "--from-beginning", "--count", "2", "--timeout", "20"]) == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "@0 the client cannot read it (UnicodeDecodeError)" in said
    assert "@1 its batch expands to more than" in said
    port = free_port()
    process = start(settings.brokers, settings.namespace, settings.home, metrics_port=port)
    wait_until_ready(port, process)
    process.terminate()
    assert ended(process)[0] == 0
