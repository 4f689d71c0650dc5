"""Decisions about projects: createProject, deleteProject, importLabels. Pure."""

from dataclasses import dataclass, field

from agents.control.decision import Decision, Labels, accepted, known_project, rejected
from agents.registry import Registry
from schemas.base import Timestamp
from schemas.commands import CreateProjectCommand, DeleteProjectCommand, ImportLabelsCommand
from schemas.control_events import ControlEvent, EventType, few
from schemas.records import (
    DeploymentRecord,
    JobRecord,
    ModelRecord,
    ProjectRecord,
    Record,
    RouteRecord,
    record_key,
)


@dataclass(frozen=True, slots=True)
class Import:
    """A bundle that was read and checked: what the project becomes, or all that is wrong with it."""

    project: ProjectRecord | None = None
    labels: Labels = field(default_factory=Labels)
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def create_project(registry: Registry, command: CreateProjectCommand, *, at: Timestamp) -> Decision:
    """Make a project. What a trainer may have written after an earlier one of this name was deleted goes."""
    wanted = command.parameters
    problems = []
    if registry.project(command.project):
        problems.append(f"project {command.project!r} exists; expected a new name, or deleteProject before")
    if twice := sorted({name for name in wanted.categories if wanted.categories.count(name) > 1}):
        problems.append(f"categories: got {', '.join(twice)} more than once; expected each once")
    if problems:
        return rejected(command, problems, at=at)
    project = ProjectRecord(
        name=command.project,
        kind=wanted.kind,
        language=wanted.language,
        multilingual=wanted.multilingual,
        description=wanted.description,
        categories=wanted.categories,
        confidence_threshold=wanted.confidence_threshold,
        created_at=at,
        updated_at=at,
    )
    changes = _all_gone(registry, command.project) | {record_key(project): project}
    return accepted(command, changes, registry=registry, at=at, details={"kind": project.kind.value})


def delete_project(registry: Registry, command: DeleteProjectCommand, *, at: Timestamp) -> Decision:
    """Delete a project with all it has; its trainings are cancelled."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    changes = _all_gone(registry, project.name) | {record_key(project): None}
    stopped = [
        ControlEvent(
            command_id=job.id,
            project=job.project,
            event=EventType.CANCELLED,
            details={"jobId": job.id, "reason": "the project was deleted"},
        )
        for job in registry.of_project(project.name, JobRecord)
        if not job.status.ended
    ]
    labels = Labels(everything=True)
    return accepted(command, changes, registry=registry, at=at, labels=labels, more_events=stopped)


def import_labels(registry: Registry, command: ImportLabelsCommand, imported: Import, *, at: Timestamp) -> Decision:
    """Replace a project's labelled documents by those that were read from the bundle."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    if imported.problems or imported.project is None:
        return rejected(command, imported.problems or ["got a bundle without a labels file"], at=at)
    details = {
        "documents": imported.project.n_documents,
        "labelled": imported.project.n_labelled,
        "removed": len(imported.labels.removed),
        "categories": imported.project.categories,
        "warnings": few(imported.warnings),
    }
    changes: dict[str, Record | None] = {record_key(imported.project): imported.project}
    return accepted(
        command,
        changes,
        registry=registry,
        at=at,
        labels=imported.labels,
        details=details,
        blobs=[command.parameters.bundle],
    )


def _all_gone(registry: Registry, project: str) -> dict[str, Record | None]:
    return {
        record_key(record): None
        for kind in (ModelRecord, DeploymentRecord, JobRecord, RouteRecord)
        for record in registry.of_project(project, kind)
    }
