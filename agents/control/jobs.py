"""Decisions about jobs and models: train, evaluate, cancelJob, deleteModel. Pure."""

from typing import Final

from agents.control.decision import Changes, Decision, accepted, known_project, rejected, unknown
from agents.registry import Registry
from schemas.base import Timestamp
from schemas.commands import CancelJobCommand, DeleteModelCommand, EvaluateCommand, TrainCommand
from schemas.control_events import ControlEvent, EventType
from schemas.records import DeploymentRecord, JobRecord, JobStatus, ModelRecord, record_key

LEAST_DOCUMENTS: Final = 10
"""Azure's rule: fewer labelled documents than this train nothing."""


def train(registry: Registry, command: TrainCommand, *, at: Timestamp) -> Decision:
    """Start a training, unless one is running in the project or there is too little to learn from."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    problems = _busy(registry, command.project)
    if project.n_labelled < LEAST_DOCUMENTS:
        problems.append(
            f"project {project.name!r} has {project.n_labelled} labelled documents; expected at least {LEAST_DOCUMENTS}"
        )
    if not project.categories:
        problems.append(f"project {project.name!r} has no categories; expected at least one")
    if problems:
        return rejected(command, problems, at=at)
    job = JobRecord(
        id=command.id,
        project=command.project,
        type="train",
        status=JobStatus.NOT_STARTED,
        train=command.parameters,
        created_at=at,
        updated_at=at,
    )
    return _started(registry, command, job, at=at)


def evaluate(registry: Registry, command: EvaluateCommand, *, at: Timestamp) -> Decision:
    """Start an evaluation of a model that is there."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    problems = _busy(registry, command.project)
    label = command.parameters.model_label
    if registry.model(command.project, label) is None:
        problems.append(_unknown_model(registry, command.project, label))
    if not project.n_labelled:
        problems.append(f"project {project.name!r} has no labelled documents; expected at least 1 to measure with")
    if problems:
        return rejected(command, problems, at=at)
    job = JobRecord(
        id=command.id,
        project=command.project,
        type="evaluate",
        status=JobStatus.NOT_STARTED,
        evaluate=command.parameters,
        created_at=at,
        updated_at=at,
    )
    return _started(registry, command, job, at=at)


def cancel_job(registry: Registry, command: CancelJobCommand, *, at: Timestamp) -> Decision:
    """Cancel a job: at once if no trainer has it yet, else its trainer is told to."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    job = registry.job(command.parameters.job_id)
    if job is None or job.project != command.project:
        active = [j.id for j in registry.of_project(command.project, JobRecord) if not j.status.ended]
        return rejected(command, [unknown("job", command.parameters.job_id, active)], at=at)
    if job.status.ended:
        problem = f"job {job.id!r} has ended ({job.status}); expected one that is {' or '.join(_ACTIVE)}"
        return rejected(command, [problem], at=at)
    at_once = job.status is JobStatus.NOT_STARTED
    status = JobStatus.CANCELLED if at_once else JobStatus.CANCELLING
    changed = job.model_copy(update={"status": status, "updated_at": at})
    details = {"jobId": job.id, "status": status.value}
    ended = ControlEvent(command_id=job.id, project=job.project, event=EventType.CANCELLED, details={"jobId": job.id})
    return accepted(
        command,
        {record_key(job): changed},
        registry=registry,
        at=at,
        more_events=[ended] if at_once else [],
        details=details,
    )


def delete_model(registry: Registry, command: DeleteModelCommand, *, at: Timestamp) -> Decision:
    """Delete a model that no deployment serves; deployments that could go back to it no longer can."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    label = command.parameters.model_label
    model = registry.model(project.name, label)
    if model is None:
        return rejected(command, [_unknown_model(registry, project.name, label)], at=at)
    deployments = registry.of_project(project.name, DeploymentRecord)
    if problems := _in_use(registry, model, deployments):
        return rejected(command, problems, at=at)
    changes: Changes = {record_key(model): None}
    changes |= {record_key(d): after for d in deployments if (after := _without(d, label)) != d}
    no_rollback = [d.name for d in deployments if d.previous and _without(d, label).previous is None]
    details = {"model": {"label": label, "digest": model.digest}, "noRollback": no_rollback}
    return accepted(command, changes, registry=registry, at=at, details=details)


_ACTIVE: Final = [status.value for status in JobStatus if not status.ended]


def _started(registry: Registry, command: TrainCommand | EvaluateCommand, job: JobRecord, *, at: Timestamp) -> Decision:
    details = {"jobId": job.id, "modelLabel": command.parameters.model_label}
    return accepted(command, {record_key(job): job}, registry=registry, at=at, ends=False, job=job, details=details)


def _busy(registry: Registry, project: str) -> list[str]:
    return [
        f"project {project!r} has the job {job.id!r} ({job.type}, {job.status}); "
        "expected none that runs: wait for it, or cancel it"
        for job in registry.of_project(project, JobRecord)
        if not job.status.ended
    ]


def _in_use(registry: Registry, model: ModelRecord, deployments: list[DeploymentRecord]) -> list[str]:
    serving = [
        f"model {model.label!r} is in use by deployment {deployment.name!r}; expected it to serve another first"
        for deployment in deployments
        if deployment.model.label == model.label
    ]
    measuring = [
        f"model {model.label!r} is what job {job.id!r} ({job.type}) works on; expected none: wait for it, or cancel it"
        for job in registry.of_project(model.project, JobRecord)
        if not job.status.ended and (wanted := job.train or job.evaluate) and wanted.model_label == model.label
    ]
    return serving + measuring


def _without(deployment: DeploymentRecord, label: str) -> DeploymentRecord:
    """Return the deployment after it forgot a model that it served before."""
    previous = deployment.previous
    kept = None if previous and previous.label == label else previous
    earlier = [model for model in deployment.earlier if model.label != label]
    return deployment.model_copy(update={"previous": kept, "earlier": earlier})


def _unknown_model(registry: Registry, project: str, label: str) -> str:
    return unknown("model", label, [model.label for model in registry.of_project(project, ModelRecord)])
