"""What people do with Lexstream, each in their role: a project, a training, a deployment, documents, answers."""

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from agents.acls import CONSUMER_GROUP, Role
from agents.cli.main import run
from agents.client import Client
from agents.settings import load_settings
from schemas.commands import Train, TrainCommand
from schemas.control_events import EventType

Values = Mapping[str, str]
SettingsOf = Callable[[Role], Values]
Call = Callable[..., list[Any]]
PROJECT = "loans"
LABELS = "".join(
    json.dumps({"id": f"d{number}", "text": "Ann lends Bob 9", "entities": [[0, 3, "Lender"]]}) + "\n"
    for number in range(10)
)


def environment(values: Values) -> dict[str, str]:
    return {f"LEXSTREAM_{name.upper()}": str(value) for name, value in values.items()}


def said_by(values: Values, *words: str) -> tuple[int, str, str]:
    """Run a command of ours with some settings; return its exit code, and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environment(values).items():
            patch.setenv(name, value)
        code = run(words)
    return code, out.getvalue(), err.getvalue()


def set_up(call: Call, settings_of: SettingsOf, folder: Path) -> None:
    """Make a project, train it and let it answer."""
    operator = settings_of(Role.OPERATOR)
    labels = folder / "labels.jsonl"
    labels.write_text(LABELS)
    call(operator, "project", "create", PROJECT, "--kind", "entities")
    call(operator, "labels", "import", PROJECT, str(labels))
    asyncio.run(train(operator))
    call(operator, "deploy", PROJECT, "good", "--deployment", "production")
    assert call(operator, "deployments", "list")[0]


async def train(operator: Values) -> None:
    command = TrainCommand(project=PROJECT, parameters=Train(model_label="good"))
    async with Client(load_settings(operator, file=Path("no-file"))) as client:
        events = [event async for event in client.command(command)]
    assert events[-1].event is EventType.SUCCEEDED, events[-1]


def look_around(call: Call, settings_of: SettingsOf, folder: Path) -> None:
    """Do the rest of what operators do."""
    operator = settings_of(Role.OPERATOR)
    call(operator, "routes", "set", PROJECT, "lenders")
    assert call(operator, "project", "show", PROJECT)[0]["deployments"]
    call(operator, "labels", "export", PROJECT, str(folder / "exported.jsonl"))


def documents_in_and_out(call: Call, settings_of: SettingsOf, folder: Path) -> None:
    """Publish, ask, and read what comes out."""
    letter = folder / "letter.txt"
    letter.write_text("Jane lends Bob 9")
    task = f"{PROJECT}/production"
    call(settings_of(Role.PUBLISHER), "publish", str(letter), "--task", task)
    (answer,) = call(settings_of(Role.INTERACTIVE), "analyze", task, str(letter))
    assert answer["results"][0]["entities"][0]["text"] == "Jane"
    (seen,) = call(settings_of(Role.CONSUMER), "watch", "--from-beginning", "--count", "1", "--timeout", "30")
    assert json.dumps(seen).count("Jane")


def dead_letters(call: Call, settings_of: SettingsOf, folder: Path) -> None:
    """Publish what nobody can answer, look at it, and send it back."""
    nowhere = f"{PROJECT}/nowhere"
    call(settings_of(Role.PUBLISHER), "publish", str(folder / "letter.txt"), "--task", nowhere, "--force")
    call(settings_of(Role.INTERACTIVE), "watch", "--topic", "dead-letters", "--from-beginning", "--count", "1")
    assert call(settings_of(Role.REPLAYER), "dead-letters", "list")
    call(settings_of(Role.REPLAYER), "dead-letters", "replay")


def read_as_group(values: Values, topic: str) -> bytes:
    """Read one document as a program of somebody's own does, with another client library."""
    consumer = Consumer(
        {
            "bootstrap.servers": values["brokers"],
            "security.protocol": values["security_protocol"],
            "ssl.ca.location": values["ssl_cafile"],
            "sasl.mechanism": values["sasl_mechanism"],
            "sasl.username": values["sasl_username"],
            "sasl.password": values["sasl_password"],
            "group.id": CONSUMER_GROUP,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None, "nothing came within 30 s"
        assert not message.error(), message.error()
        consumer.commit(message=message, asynchronous=False)
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()
