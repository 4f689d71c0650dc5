"""Commands that nobody wrote in good faith, through Faust and the controller on a real broker."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.control.reading import MAX_COMMAND_BYTES, Invalid, read_command
from agents.settings import Settings
from schemas.commands import COMMAND
from schemas.control_events import MAX_SENTENCES
from schemas.records import CommandRecord, ProjectRecord
from tests.agents.control_kit import Outside, Running, command, named, settings_of
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
    import asyncio

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
