"""What a job's end changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.registry import Registry
from agents.trainer.child import Crashed, Failed, Succeeded
from agents.trainer.outcome import amended, closed, ended, forgotten, is_cancelled, progress_event, started
from schemas.commands import Evaluate, Train
from schemas.control_events import EventType
from schemas.names import Kind
from schemas.records import (
    CommandRecord,
    DeploymentRecord,
    JobRecord,
    JobStatus,
    ModelRecord,
    ModelReference,
    ProjectRecord,
    Record,
    record_key,
)

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
OLD, NEW, EVALUATION = (f"sha256:{c * 64}" for c in "123")
REPORT = {
    "event": "succeeded",
    "digest": NEW,
    "evaluation": EVALUATION,
    "summary": {"microF1": 0.9, "note": "no number"},
    "plan": {"backend": "onnx-int8"},
}


def job(status: JobStatus = JobStatus.RUNNING, **more: Any) -> JobRecord:
    fields: dict[str, Any] = {"type": "train", "train": Train(model_label="v1")} | more
    return JobRecord(id="j1", project="loans", status=status, created_at=AT, updated_at=AT, **fields)


def model(digest: str = OLD, job_id: str = "j0") -> ModelRecord:
    return ModelRecord(
        project="loans",
        label="v1",
        digest=digest,
        kind=Kind.MULTI_LABEL,
        job_id=job_id,
        trained_at=AT,
        duration_s=1,
        evaluation=OLD,
    )


PROJECT = ProjectRecord(name="loans", kind=Kind.MULTI_LABEL, language="en", created_at=AT, updated_at=AT)


def state(*records: Record) -> Registry:
    return Registry().after({record_key(record): record for record in records})


def test_success_writes_model_and_job_together_and_says_all_of_it() -> None:
    outcome = ended(state(PROJECT, job()), job(), Succeeded(REPORT), at=AT, duration_s=12.34567)
    made, done = outcome.changes["model/loans/v1"], outcome.changes["job/j1"]
    assert isinstance(made, ModelRecord)
    assert isinstance(done, JobRecord)
    assert (made.digest, made.kind, made.job_id, made.duration_s) == (NEW, Kind.MULTI_LABEL, "j1", 12.346)
    assert made.summary == {"microF1": 0.9}
    assert done.status is JobStatus.SUCCEEDED
    (event,) = outcome.events
    assert (event.event, event.command_id) == (EventType.SUCCEEDED, "j1")
    assert event.details["model"] == {"label": "v1", "digest": NEW}
    assert event.details["plan"] == {"backend": "onnx-int8"}


def test_a_replaced_model_is_garbage() -> None:
    outcome = ended(state(PROJECT, job(), model()), job(), Succeeded(REPORT), at=AT, duration_s=1)
    assert outcome.garbage.models == (OLD,)


def test_a_replaced_model_that_is_served_stays() -> None:
    serving = DeploymentRecord(
        project="loans", name="p", model=ModelReference(label="v1", digest=OLD), deployed_at=AT, command_id="c"
    )
    outcome = ended(state(PROJECT, job(), model(), serving), job(), Succeeded(REPORT), at=AT, duration_s=1)
    assert outcome.garbage.models == ()


def test_an_evaluation_of_a_model_that_is_gone_or_another_now_fails() -> None:
    measuring = job(type="evaluate", train=None, evaluate=Evaluate(model_label="v1"))
    for registry in (state(PROJECT), state(PROJECT, model(OLD))):
        outcome = ended(registry, measuring, Succeeded(REPORT), at=AT, duration_s=1)
        assert [event.event for event in outcome.events] == [EventType.FAILED]
        assert set(outcome.changes) == {"job/j1"}


@pytest.mark.parametrize(
    ("how", "problems"), [(Failed(["a", "b"]), ["a", "b"]), (Crashed("signal SIGKILL"), ["signal SIGKILL"])]
)
def test_failure_keeps_every_problem(how: Failed | Crashed, problems: list[str]) -> None:
    outcome = ended(state(PROJECT, job(), model()), job(), how, at=AT, duration_s=1)
    done = outcome.changes["job/j1"]
    assert isinstance(done, JobRecord)
    assert (done.status, done.problems) == (JobStatus.FAILED, problems)
    assert outcome.events[0].details["problems"] == problems
    assert "model/loans/v1" not in outcome.changes


def test_progress_carries_what_the_training_said() -> None:
    details = progress_event(job(), {"event": "progress", "stage": "training", "fraction": 0.5, "loss": 1.5}).details
    assert details == {"jobId": "j1", "type": "train", "stage": "training", "fraction": 0.5, "loss": 1.5}
    assert started(job(), trainer="t", at=AT).events[0].details["trainer"] == "t"


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_job_that_somebody_cancels_or_deletes_is_to_stop(status: JobStatus) -> None:
    assert is_cancelled(state(job(status)), "j1") == (status in {JobStatus.CANCELLING, JobStatus.CANCELLED})
    assert is_cancelled(state(), "j1")


def test_a_job_that_was_cancelled_while_a_trainer_took_it_is_to_stop() -> None:
    done = CommandRecord(
        id="c", project="loans", event="succeeded", at=AT, details={"command": "cancelJob", "jobId": "j1"}
    )
    refused = CommandRecord(id="d", project="loans", event="rejected", at=AT, details={"command": "cancelJob"})
    assert is_cancelled(state(job(), done), "j1")
    assert not is_cancelled(state(job(), refused), "j1")


def test_a_job_that_ended_while_it_was_cancelled_stays_a_success() -> None:
    outcome = closed(state(PROJECT, model(NEW, job_id="j1")), job(JobStatus.CANCELLING), at=AT)
    done = outcome.changes["job/j1"]
    assert isinstance(done, JobRecord)
    assert done.status is JobStatus.SUCCEEDED
    assert outcome.events == []
    outcome = closed(state(PROJECT, model()), job(JobStatus.CANCELLING), at=AT)
    assert [event.event for event in outcome.events] == [EventType.CANCELLED]


def test_what_a_controller_wrote_over_a_jobs_end_is_written_again() -> None:
    outcome = ended(state(PROJECT, job()), job(), Failed(["no"]), at=AT, duration_s=1.0)
    behind = state(PROJECT).after(outcome.changes)
    assert amended(behind, outcome) == {}
    undone = behind.after({"job/j1": job(JobStatus.CANCELLING)})
    assert amended(undone, outcome) == outcome.changes


def test_nothing_is_left_of_a_job_whose_project_was_deleted_when_it_ended() -> None:
    outcome = ended(state(PROJECT, job()), job(), Succeeded(REPORT), at=AT, duration_s=1.0)
    assert amended(Registry().after(outcome.changes), outcome) == {"job/j1": None, "model/loans/v1": None}
    assert amended(Registry(), outcome) == {}


def test_only_old_jobs_that_have_not_ended_are_forgotten_ones() -> None:
    late = AT + timedelta(seconds=60)
    assert forgotten(state(job()), at=late, after_s=60) == [job()]
    assert forgotten(state(job()), at=late, after_s=61) == []
    assert forgotten(state(job(JobStatus.FAILED)), at=late, after_s=1) == []
