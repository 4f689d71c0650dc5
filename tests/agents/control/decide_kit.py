"""Registries, commands and records for the decision table, built by hand."""

from datetime import UTC, datetime
from typing import Any

from agents.control.decision import Decision, Labels
from agents.registry import Registry
from schemas.commands import COMMAND, Command, Rule, Train
from schemas.control_events import EventType
from schemas.names import Kind
from schemas.records import (
    DeploymentRecord,
    JobRecord,
    JobStatus,
    ModelRecord,
    ModelReference,
    ProjectRecord,
    Record,
    RouteRecord,
    record_key,
)

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
ONE, TWO, THREE = (f"sha256:{c * 64}" for c in "123")
EVALUATION = f"sha256:{'e' * 64}"


def digest(n: int) -> str:
    """Return a digest that is the number."""
    return f"sha256:{n:064x}"


def command(what: str, project: str = "loans", /, **parameters: Any) -> Command:
    """Return a command."""
    return COMMAND.validate_python({"id": f"{what}-1", "command": what, "project": project, "parameters": parameters})


def project(name: str = "loans", **more: Any) -> ProjectRecord:
    """Return a project that has enough labels to train with."""
    fields: dict[str, Any] = {
        "kind": Kind.ENTITIES,
        "language": "en",
        "categories": ["Date", "Amount"],
        "n_documents": 20,
        "n_labelled": 20,
    }
    return ProjectRecord(name=name, created_at=AT, updated_at=AT, **(fields | more))


def model(label: str = "v1", digest: str = ONE, name: str = "loans", evaluation: str = EVALUATION) -> ModelRecord:
    """Return a trained model."""
    return ModelRecord(
        project=name,
        label=label,
        digest=digest,
        kind=Kind.ENTITIES,
        job_id=f"job-{label}",
        trained_at=AT,
        duration_s=1,
        evaluation=evaluation,
    )


def deployment(name: str, label: str, digest: str, previous: tuple[str, str] | None = None) -> DeploymentRecord:
    """Return a deployment that an earlier command made."""
    return DeploymentRecord(
        project="loans",
        name=name,
        model=ModelReference(label=label, digest=digest),
        previous=ModelReference(label=previous[0], digest=previous[1]) if previous else None,
        deployed_at=AT,
        command_id="earlier",
    )


def job(status: JobStatus, job_id: str = "job-9", label: str = "v9", name: str = "loans") -> JobRecord:
    """Return a training job."""
    return JobRecord(
        id=job_id,
        project=name,
        type="train",
        status=status,
        train=Train(model_label=label),
        created_at=AT,
        updated_at=AT,
    )


def state(*records: Record) -> Registry:
    """Return a registry of records."""
    return Registry().after({record_key(record): record for record in records})


def events(decision: Decision) -> list[EventType]:
    """Return what a decision says happened, in order."""
    return [event.event for event in decision.events]


def problems(decision: Decision) -> list[str]:
    """Return the problems of a refusal, which changes nothing but its own command's record."""
    assert events(decision) == [EventType.REJECTED]
    assert [key.partition("/")[0] for key in decision.changes] == ["command"]
    assert not decision.jobs
    assert decision.labels == Labels()
    assert not decision.garbage.models
    assert len(decision.garbage.blobs) <= 1, "an import's bundle"
    return list(decision.events[0].details["problems"])


FULL = state(
    project(),
    project("tickets", kind=Kind.SINGLE_LABEL, categories=["billing"], n_labelled=3),
    model("v1", ONE),
    model("v2", TWO),
    deployment("production", "v1", ONE, previous=("v2", TWO)),
    deployment("staging", "v2", TWO),
    RouteRecord(project="loans", name="review", deployment="staging", rule=Rule()),
)
