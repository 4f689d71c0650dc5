"""What a job's end changes: records and events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agents.control.decision import Changes, Garbage, garbage_after
from agents.registry import Registry
from agents.trainer.child import Crashed, Ended, Failed, Succeeded
from schemas.control_events import ControlEvent, EventType
from schemas.records import (
    CommandRecord,
    JobRecord,
    JobStatus,
    ModelRecord,
    ProjectRecord,
    record_key,
)

_NOT_PROGRESS: Final = {"event", "jobId"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is written together, and what nothing names any more after that."""

    changes: Changes
    events: Sequence[ControlEvent]
    garbage: Garbage = Garbage()  # noqa: RUF009 - frozen


def job_event(job: JobRecord, event: EventType, details: dict[str, Any]) -> ControlEvent:
    """Return an event about a job."""
    return ControlEvent(
        command_id=job.id, project=job.project, event=event, details={"jobId": job.id, "type": job.type, **details}
    )


def progress_event(job: JobRecord, report: dict[str, Any]) -> ControlEvent:
    """Return the event that says how far a job is."""
    details = {name: value for name, value in report.items() if name not in _NOT_PROGRESS}
    return job_event(job, EventType.PROGRESS, details)


def started(job: JobRecord, *, trainer: str, at: datetime) -> Outcome:
    """A trainer has taken the job."""
    running = job.model_copy(update={"status": JobStatus.RUNNING, "trainer": trainer, "updated_at": at})
    report = {"stage": "preparing", "fraction": 0.0, "trainer": trainer}
    return Outcome({record_key(job): running}, [progress_event(job, report)])


def cancelled(job: JobRecord, *, at: datetime) -> Outcome:
    """The job was cancelled."""
    changed = job.model_copy(update={"status": JobStatus.CANCELLED, "updated_at": at})
    return Outcome({record_key(job): changed}, [job_event(job, EventType.CANCELLED, {})])


def closed(registry: Registry, job: JobRecord, *, at: datetime) -> Outcome:
    """A job that is to be cancelled comes to a trainer: it is, unless a trainer finished it in that very moment."""
    if any(model.job_id == job.id for model in registry.of_project(job.project, ModelRecord)):
        done = job.model_copy(update={"status": JobStatus.SUCCEEDED, "updated_at": at})
        return Outcome({record_key(job): done}, [])
    return cancelled(job, at=at)


def failed(job: JobRecord, problems: Sequence[str], *, at: datetime) -> Outcome:
    """The job cannot succeed."""
    update = {"status": JobStatus.FAILED, "problems": list(problems), "updated_at": at}
    changes: Changes = {record_key(job): job.model_copy(update=update)}
    return Outcome(changes, [job_event(job, EventType.FAILED, {"problems": list(problems)})])


def succeeded(
    registry: Registry, job: JobRecord, report: dict[str, Any], *, at: datetime, duration_s: float
) -> Outcome:
    """The job made a model, or measured one again."""
    model = _model_after(registry, job, report, at=at, duration_s=duration_s)
    if model is None:
        return failed(
            job, ["the model was deleted meanwhile; expected it to be there until its evaluation ends"], at=at
        )
    done = job.model_copy(update={"status": JobStatus.SUCCEEDED, "updated_at": at})
    changes: Changes = {record_key(model): model, record_key(done): done}
    details: dict[str, Any] = {
        "modelLabel": model.label,
        "model": {"label": model.label, "digest": model.digest},
        "evaluation": model.evaluation,
        "summary": model.summary,
        "durationS": round(duration_s, 3),
    }
    details |= {name: report[name] for name in ("backend", "plan", "tuning") if name in report}
    events = [job_event(job, EventType.SUCCEEDED, details)]
    return Outcome(changes, events, garbage_after(registry, changes))


def ended(registry: Registry, job: JobRecord, how: Ended, *, at: datetime, duration_s: float) -> Outcome:
    """Return what the end of the child process means."""
    match how:
        case Succeeded():
            return succeeded(registry, job, dict(how.report), at=at, duration_s=duration_s)
        case Failed():
            return failed(job, how.problems, at=at)
        case Crashed():
            return failed(job, [how.reason], at=at)


def amended(registry: Registry, outcome: Outcome) -> Changes:
    """Return what the controller undid that decided in the moment of an end, without having read it.

    Both write under ids of their own, so neither waits for the other: a job may stand as one that is to be cancelled
    though it has ended, and a model in a project that is gone.

    Args:
        registry: As it is behind both.
        outcome: What the trainer wrote.
    """
    changes: Changes = {}
    for key, record in outcome.changes.items():
        if record is None or key not in registry.records:
            continue
        if isinstance(record, JobRecord | ModelRecord) and registry.project(record.project) is None:
            changes[key] = None
        elif isinstance(record, JobRecord) and (there := registry.job(record.id)) and not there.status.ended:
            changes[key] = record
    return changes


def is_cancelled(registry: Registry, job_id: str) -> bool:
    """Whether somebody wants the job to end, or has ended it.

    A job that was cancelled in the very moment a trainer took it stands as running: the later record won. The
    command that cancelled it tells.
    """
    job = registry.job(job_id)
    if job is None or job.status in {JobStatus.CANCELLING, JobStatus.CANCELLED}:
        return True
    return any(
        command.details.get("command") == "cancelJob" and command.details.get("jobId") == job_id
        for command in registry.of_project(job.project, CommandRecord)
    )


def forgotten(registry: Registry, *, at: datetime, after_s: float) -> list[JobRecord]:
    """Return the jobs that have not ended and that nothing was written about for a while."""
    return [
        job
        for job in registry.all(JobRecord)
        if not job.status.ended and (at - job.updated_at).total_seconds() >= after_s
    ]


def _model_after(
    registry: Registry, job: JobRecord, report: dict[str, Any], *, at: datetime, duration_s: float
) -> ModelRecord | None:
    summary = {name: value for name, value in report.get("summary", {}).items() if isinstance(value, int | float)}
    if job.evaluate:
        there = registry.model(job.project, job.evaluate.model_label)
        if there is None or there.digest != report["digest"]:
            return None
        return there.model_copy(update={"evaluation": report["evaluation"], "summary": summary})
    project: ProjectRecord | None = registry.project(job.project)
    if job.train is None or project is None:
        return None
    return ModelRecord(
        project=job.project,
        label=job.train.model_label,
        digest=report["digest"],
        kind=project.kind,
        job_id=job.id,
        trained_at=at,
        duration_s=round(duration_s, 3),
        evaluation=report["evaluation"],
        summary=summary,
    )
