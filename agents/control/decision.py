"""What becomes of a command: changes of the registry, events, jobs and what may be deleted. Pure data and helpers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.registry import Registry
from schemas.base import Timestamp
from schemas.commands import Command, ImportLabelsCommand
from schemas.control_events import ControlEvent, EventType, few
from schemas.labels import LabelledDocument
from schemas.names import Digest
from schemas.records import CommandRecord, DeploymentRecord, JobRecord, ModelRecord, ProjectRecord, Record, record_key

Changes = dict[str, Record | None]
"""Registry keys and their new records; ``None`` takes a record away."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What happens to a project's labelled documents.

    Attributes:
        documents: Written, each in place of the one with its id.
        removed: Ids of documents that go.
        everything: Whether all the project has go, whatever their ids.
    """

    documents: Sequence[LabelledDocument] = ()
    removed: Sequence[str] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing in the registry names any more: models and single blobs of the store, by digest."""

    models: tuple[Digest, ...] = ()
    blobs: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """All that a command leads to. Nothing of it has happened yet."""

    changes: Changes
    events: Sequence[ControlEvent]
    jobs: Sequence[JobRecord] = ()
    labels: Labels = field(default_factory=Labels)
    garbage: Garbage = field(default_factory=Garbage)
    routes: Sequence[str] = ()
    """Names of routes whose topics must be there before this is written."""


def event_of(command: Command, event: EventType, details: Mapping[str, Any]) -> ControlEvent:
    """Return an event about ``command``."""
    return ControlEvent(command_id=command.id, project=command.project, event=event, details=dict(details))


def rejected(command: Command, problems: Sequence[str], *, at: Timestamp) -> Decision:
    """Return the refusal of a command, with everything that is wrong; nothing else changes.

    The bundle of an import goes all the same: it is full of text that nobody reads again.
    """
    details = {"command": command.command, "problems": few(problems)}
    garbage = Garbage(blobs=(command.parameters.bundle,) if isinstance(command, ImportLabelsCommand) else ())
    record = _command_record(command, event=EventType.REJECTED, at=at, details=details | _kept(garbage))
    return Decision(
        changes={record_key(record): record},
        events=[event_of(command, EventType.REJECTED, details)],
        garbage=garbage,
    )


def accepted(
    command: Command,
    changes: Mapping[str, Record | None],
    *,
    registry: Registry,
    at: Timestamp,
    ends: bool = True,
    more_events: Iterable[ControlEvent] = (),
    job: JobRecord | None = None,
    labels: Labels | None = None,
    blobs: Sequence[Digest] = (),
    routes: Sequence[str] = (),
    details: Mapping[str, Any] | None = None,
) -> Decision:
    """Return the decision to do a command.

    Args:
        command: The command.
        changes: Of the registry; the command's own record is added.
        registry: The state before.
        at: The present moment.
        ends: Whether all is done with this; else somebody else says how it ended.
        more_events: Events about other commands.
        job: What a trainer has to do.
        labels: What happens to labelled documents.
        blobs: Of the store, not needed afterwards.
        routes: Routes whose topics are needed.
        details: Of the command's events.
    """
    said: dict[str, Any] = {"command": command.command, **(details or {})}
    events = [event_of(command, EventType.ACCEPTED, said), *more_events]
    if ends:
        events.append(event_of(command, EventType.SUCCEEDED, said))
    garbage = garbage_after(registry, changes, blobs=blobs)
    event = EventType.SUCCEEDED if ends else EventType.ACCEPTED
    record = _command_record(command, event=event, at=at, details=said | _kept(garbage))
    return Decision(
        changes={**changes, record_key(record): record},
        events=events,
        jobs=[job] if job else [],
        labels=labels or Labels(),
        garbage=garbage,
        routes=routes,
    )


def garbage_after(registry: Registry, changes: Mapping[str, Record | None], *, blobs: Sequence[str] = ()) -> Garbage:
    """Return what of the store is named before ``changes`` but not after."""
    after = registry.after(changes)
    models = _model_digests(registry) - _model_digests(after)
    evaluations = {model.evaluation for model in registry.all(ModelRecord) if model.digest in models}
    unnamed = evaluations - {model.evaluation for model in after.all(ModelRecord)}
    return Garbage(tuple(sorted(models)), tuple(sorted({*blobs, *unnamed})))


def garbage_of(record: CommandRecord) -> Garbage:
    """Return what a command that was handled before left to delete."""
    kept = record.details.get("garbage") or {}
    return Garbage(tuple(kept.get("models", ())), tuple(kept.get("blobs", ())))


def still_dead(garbage: Garbage, registry: Registry) -> Garbage:
    """Return what of ``garbage`` the registry does not name."""
    alive = live_digests(registry)
    return Garbage(
        tuple(digest for digest in garbage.models if digest not in alive),
        tuple(digest for digest in garbage.blobs if digest not in alive),
    )


def live_digests(registry: Registry) -> set[str]:
    """Return the digests of all models and evaluations that the registry names."""
    return _model_digests(registry) | {model.evaluation for model in registry.all(ModelRecord)}


def _kept(garbage: Garbage) -> dict[str, Any]:
    return {"garbage": {"models": garbage.models, "blobs": garbage.blobs}} if garbage != Garbage() else {}


def _model_digests(registry: Registry) -> set[str]:
    deployments = registry.all(DeploymentRecord)
    return (
        {model.digest for model in registry.all(ModelRecord)}
        | {deployment.model.digest for deployment in deployments}
        | {deployment.previous.digest for deployment in deployments if deployment.previous}
        | {model.digest for deployment in deployments for model in deployment.earlier}
    )


def _command_record(command: Command, *, event: EventType, at: Timestamp, details: Mapping[str, Any]) -> CommandRecord:
    return CommandRecord(id=command.id, project=command.project, event=event, at=at, details=dict(details))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not there, with those that are."""
    there = ", ".join(sorted(known))
    return f"{what} {name!r} is unknown; expected " + (f"one of: {there}" if there else "one, but there is none yet")


def known_project(registry: Registry, name: str) -> ProjectRecord | list[str]:
    """Return the project, or the problem that there is none."""
    projects = [project.name for project in registry.all(ProjectRecord)]
    return registry.project(name) or [unknown("project", name, projects)]
