"""Jobs on the command line: cancelled by their id alone, waited for, told apart from what failed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from agents.cli.context import Cli
from agents.cli.jobs import find_job
from agents.cli.main import run
from agents.registry import Registry
from schemas.commands import Command, Train
from schemas.control_events import ControlEvent, EventType
from schemas.errors import InvalidInput
from schemas.records import JobRecord, JobStatus, Record, record_key

AT = datetime(2026, 1, 5, tzinfo=UTC)


def job(job_id: str, status: JobStatus = JobStatus.RUNNING, project: str = "loans") -> JobRecord:
    return JobRecord(
        id=job_id,
        project=project,
        type="train",
        status=status,
        train=Train(model_label="v1"),
        created_at=AT,
        updated_at=AT,
    )


def registry_of(*records: Record) -> Registry:
    return Registry({record_key(record): record for record in records})


@dataclass
class FakeClient:
    """Answers each command with the events of these kinds; ``None`` interrupts it."""

    state: Registry = field(default_factory=Registry)
    answers: Sequence[EventType | None] = ()
    asked: list[Command] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        """Nothing to let go of."""

    async def registry(self) -> Registry:
        return self.state

    async def command(self, command: Command) -> AsyncIterator[ControlEvent]:
        self.asked.append(command)
        for kind in self.answers:
            if kind is None:
                raise asyncio.CancelledError
            details = {"jobId": command.id} if kind is EventType.CANCELLED else {}
            yield ControlEvent(command_id=command.id, project=command.project, event=kind, details=details)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeClient:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    fake = FakeClient()
    monkeypatch.setattr(Cli, "client", lambda _: fake)
    return fake


def test_a_job_is_cancelled_by_its_id_alone(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.state = registry_of(job("5e6f-1"), job("77-2", project="tickets"))
    client.answers = [EventType.ACCEPTED, EventType.SUCCEEDED]
    assert run(["jobs", "cancel", "77-2"]) == 0
    (asked,) = client.asked
    assert (asked.command, asked.project) == ("cancelJob", "tickets")
    assert asked.payload()["parameters"] == {"jobId": "77-2"}
    assert capsys.readouterr().out == "✓ cancelled 77-2 of tickets\n"


def test_the_beginning_of_an_id_is_enough_where_it_is_unique() -> None:
    registry = registry_of(job("5e1"), job("5e2"), job("61", JobStatus.FAILED), job("62"))
    assert find_job(registry, "5e1").id == "5e1"
    assert find_job(registry, "6").id == "62"
    with pytest.raises(InvalidInput, match=r"^2 jobs begin with 5e: 5e1, 5e2$"):
        find_job(registry, "5e")
    for nobody in ("9", ""):
        with pytest.raises(InvalidInput, match="see `lexstream jobs list`"):
            find_job(registry, nobody)


def test_a_cancelled_training_says_so_after_it_said_how_to_cancel_it(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.answers = [EventType.ACCEPTED, EventType.CANCELLED]
    assert run(["train", "loans", "--model", "v1"]) == 1
    (asked,) = client.asked
    hint, said = capsys.readouterr().err.splitlines()
    assert hint == f"Ctrl-C leaves the job running; to stop it: lexstream jobs cancel {asked.id}"
    assert said == f"lexstream: cancelled: job {asked.id} was told to end"


def test_a_training_that_is_left_alone_goes_on_and_says_how_to_stop_it(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.answers = [EventType.ACCEPTED, None]
    run(["train", "loans", "--model", "v1"])
    said = capsys.readouterr().err
    (asked,) = client.asked
    assert f"The job goes on, see lexstream jobs list; to stop it: lexstream jobs cancel {asked.id}" in said


def test_a_training_that_nobody_waits_for_says_how_to_stop_it(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.answers = [EventType.ACCEPTED]
    assert run(["train", "loans", "--model", "v1", "--no-wait"]) == 0
    assert f"To stop it: lexstream jobs cancel {client.asked[0].id}" in capsys.readouterr().out
