"""What commands make of jobs."""

import pytest

from agents.control.decide import decide
from schemas.control_events import EventType
from schemas.records import JobRecord, JobStatus
from tests.agents.control.decide_kit import AT, FULL, command, events, job


def test_training_makes_a_job_with_the_commands_id() -> None:
    decision = decide(FULL, command("train", modelLabel="v3", seed=7), at=AT)
    assert [made.id for made in decision.jobs] == ["train-1"]
    made = decision.changes["job/train-1"]
    assert isinstance(made, JobRecord)
    assert made.status is JobStatus.NOT_STARTED
    assert made.train is not None
    assert made.train.seed == 7
    assert events(decision) == [EventType.ACCEPTED], "the trainer says how it ended"


def test_evaluating_makes_a_job() -> None:
    decision = decide(FULL, command("evaluate", modelLabel="v1"), at=AT)
    assert [(made.type, made.id) for made in decision.jobs] == [("evaluate", "evaluate-1")]


def test_a_job_that_nobody_took_is_cancelled_at_once() -> None:
    decision = decide(FULL.after({"job/job-9": job(JobStatus.NOT_STARTED)}), command("cancelJob", jobId="job-9"), at=AT)
    changed = decision.changes["job/job-9"]
    assert isinstance(changed, JobRecord)
    assert changed.status is JobStatus.CANCELLED
    assert [(event.event, event.command_id) for event in decision.events] == [
        (EventType.ACCEPTED, "cancelJob-1"),
        (EventType.CANCELLED, "job-9"),
        (EventType.SUCCEEDED, "cancelJob-1"),
    ]


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.CANCELLING])
def test_a_running_job_is_left_to_its_trainer_to_cancel(status: JobStatus) -> None:
    decision = decide(FULL.after({"job/job-9": job(status)}), command("cancelJob", jobId="job-9"), at=AT)
    changed = decision.changes["job/job-9"]
    assert isinstance(changed, JobRecord)
    assert changed.status is JobStatus.CANCELLING
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]
