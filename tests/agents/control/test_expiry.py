"""What the registry forgets, and what it must not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.control.expiry import expired
from agents.registry import Registry
from schemas.commands import Train
from schemas.names import Kind
from schemas.records import CommandRecord, JobRecord, JobStatus, ProjectRecord, Record, record_key

AT = datetime(2026, 6, 1, tzinfo=UTC)


def command(command_id: str, days: float, **details: Any) -> CommandRecord:
    at = AT - timedelta(days=days)
    return CommandRecord(id=command_id, project="loans", event="succeeded", at=at, details=details)


def job(job_id: str, days: float, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord:
    at = AT - timedelta(days=days)
    return JobRecord(
        id=job_id,
        project="loans",
        type="train",
        status=status,
        train=Train(model_label="v1"),
        created_at=at - timedelta(days=100),
        updated_at=at,
    )


def registry_of(*records: Record) -> Registry:
    return Registry({record_key(record): record for record in records})


def test_commands_go_after_30_days_and_ended_jobs_90_days_after_their_end() -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC)
    project = ProjectRecord(name="loans", kind=Kind.ENTITIES, language="en", created_at=old, updated_at=old)
    registry = registry_of(project, command("a", 31), command("b", 29), job("c", 91), job("d", 89))
    assert expired(registry, at=AT) == {"command/a": None, "job/c": None}


@pytest.mark.parametrize("status", [status for status in JobStatus if not status.ended])
def test_a_job_that_has_not_ended_stays_with_its_command_and_the_one_that_cancelled_it(status: JobStatus) -> None:
    cancel = command("cancel", 400, command="cancelJob", jobId="j")
    registry = registry_of(job("j", 400, status), command("j", 400, command="train", jobId="j"), cancel)
    assert expired(registry, at=AT) == {}
    assert len(expired(registry.after({"job/j": job("j", 400)}), at=AT)) == 3


def test_at_most_so_many_go_at_once_the_oldest_first_and_all_in_the_end() -> None:
    registry = registry_of(*(command(str(days), days) for days in range(500)))
    assert list(expired(registry, at=AT, most=2)) == ["command/499", "command/498"]
    rounds = 0
    while changes := expired(registry, at=AT):
        assert len(changes) <= 200
        registry = registry.after(changes)
        rounds += 1
    assert rounds == 3
    assert len(registry.records) == 31
