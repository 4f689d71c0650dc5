"""Records of the registry topic: the current state of everything, one compacted key each."""

from enum import StrEnum
from typing import Any, Literal

from schemas.base import Message, Timestamp
from schemas.commands import Evaluate, Rule, Train
from schemas.names import Kind


class ProjectRecord(Message):
    """Key ``project/<name>``. The envelope fields come back unchanged when the labels are exported."""

    name: str
    kind: Kind
    language: str
    multilingual: bool = False
    description: str = ""
    categories: list[str] = []
    confidence_threshold: float | None = None
    storage_container: str = ""
    n_documents: int = 0
    n_labelled: int = 0
    created_at: Timestamp
    updated_at: Timestamp


class ModelReference(Message):
    """A model by its label, and exactly which one by its digest."""

    label: str
    digest: str


class ModelRecord(Message):
    """Key ``model/<project>/<label>``.

    ``evaluation`` is the digest of the newest evaluation in the store, ``summary`` its micro and macro figures.
    """

    project: str
    label: str
    digest: str
    kind: Kind
    job_id: str
    trained_at: Timestamp
    duration_s: float
    evaluation: str
    summary: dict[str, float] = {}


class DeploymentRecord(Message):
    """Key ``deployment/<project>/<name>``. ``previous`` is what ``rollback`` returns to.

    ``earlier`` are the models before that, the newest first: a worker that starts serves the first that loads.
    """

    project: str
    name: str
    model: ModelReference
    previous: ModelReference | None = None
    earlier: list[ModelReference] = []
    deployed_at: Timestamp
    command_id: str


class JobStatus(StrEnum):
    """Azure's job states, less those that never occur here."""

    NOT_STARTED = "notStarted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job will never change again."""
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobRecord(Message):
    """Key ``job/<id>``. A job's id is the id of the command that asked for it."""

    id: str
    project: str
    type: Literal["train", "evaluate"]
    status: JobStatus
    train: Train | None = None
    evaluate: Evaluate | None = None
    trainer: str | None = None
    problems: list[str] = []
    created_at: Timestamp
    updated_at: Timestamp


class RouteRecord(Message):
    """Key ``route/<project>/<name>``."""

    project: str
    name: str
    deployment: str | None = None
    rule: Rule


class CommandRecord(Message):
    """Key ``command/<id>``: that a command was handled, and how, so that handed in twice it is done once."""

    id: str
    project: str
    event: str
    at: Timestamp
    details: dict[str, Any] = {}


Record = ProjectRecord | ModelRecord | DeploymentRecord | JobRecord | RouteRecord | CommandRecord

RECORD_TYPES: dict[str, type[Record]] = {
    "project": ProjectRecord,
    "model": ModelRecord,
    "deployment": DeploymentRecord,
    "job": JobRecord,
    "route": RouteRecord,
    "command": CommandRecord,
}


def record_key(record: Record) -> str:
    """Return the registry key that ``record`` lives under."""
    match record:
        case ProjectRecord():
            return f"project/{record.name}"
        case ModelRecord():
            return f"model/{record.project}/{record.label}"
        case DeploymentRecord():
            return f"deployment/{record.project}/{record.name}"
        case JobRecord():
            return f"job/{record.id}"
        case RouteRecord():
            return f"route/{record.project}/{record.name}"
        case CommandRecord():
            return f"command/{record.id}"
