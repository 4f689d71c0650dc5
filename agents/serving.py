"""What a worker serves at one moment: deployments with their loaded models, projects and routes. Never changes.

The loader makes a new table and puts it in the place of the old one; the hot loop takes the table once a window.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from agents.routing import Routes
from schemas.documents import Task
from schemas.enriched import ServedModel, TaskFailure
from schemas.names import Kind
from schemas.records import ProjectRecord

Key = tuple[str, str]
"""Project and deployment."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Served:
    """A deployment that answers.

    Attributes:
        model: What the engine made of the artefact; nobody but the engine looks inside.
        header: The value of the header that names the model.
    """

    project: str
    deployment: str
    label: str
    digest: str
    kind: Kind
    language: str
    multilingual: bool
    model: Any
    reference: ServedModel = field(init=False)
    header: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", ServedModel(label=self.label, digest=self.digest))
        object.__setattr__(self, "header", f"{self.project}/{self.deployment}={self.digest}".encode())


@dataclass(frozen=True, slots=True)
class Refused:
    """A deployment none of whose models could be loaded."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parked:
    """A deployment whose model is not in memory: it has to be settled before anybody can be told who answers."""


@dataclass(frozen=True, slots=True)
class ServingTable:
    """Everything the hot loop needs to know of the registry."""

    deployments: Mapping[Key, Served | Refused | Parked] = field(default_factory=dict)
    projects: Mapping[str, ProjectRecord] = field(default_factory=dict)
    routes: Routes = field(default_factory=dict)

    def missing(self, tasks: Iterable[Task]) -> set[Key]:
        """Return those of the tasks' deployments that are not known here, or parked: to be settled first."""
        found = self.deployments
        return {key for t in tasks if isinstance(found.get(key := (t.project, t.deployment)), Parked | None)}

    def parked(self, tasks: Iterable[Task]) -> set[Key]:
        """Return those of the tasks' deployments that exist and are parked.

        Once what was missing is settled, what is still missing does not exist; but what is parked was parked again
        meanwhile, and has to be settled again.
        """
        found = self.deployments
        return {key for t in tasks if isinstance(found.get(key := (t.project, t.deployment)), Parked)}


class Answerers(NamedTuple):
    """Who answers a document, and why others do not."""

    served: tuple[Served, ...]
    failures: tuple[TaskFailure, ...]


def resolve(table: ServingTable, tasks: Iterable[Task], language: str | None) -> Answerers:
    """Return who answers a document's tasks, each task once, in their order.

    Nobody may be told so of a deployment that is ``missing`` in the same table, until that is settled.
    """
    served: list[Served] = []
    failures: list[TaskFailure] = []
    for key in dict.fromkeys((task.project, task.deployment) for task in tasks):
        found = _find(table, key, language)
        if isinstance(found, Served):
            served.append(found)
        else:
            failures.append(TaskFailure(code=found[0], message=found[1], project=key[0], deployment=key[1]))
    return Answerers(tuple(served), tuple(failures))


def _find(table: ServingTable, key: Key, language: str | None) -> Served | tuple[str, str]:
    project, deployment = key
    if project not in table.projects:
        return "ProjectNotFound", f"there is no project {project!r}"
    match table.deployments.get(key):
        case None:
            return "DeploymentNotFound", f"project {project!r} has no deployment {deployment!r}"
        case Parked():
            return "ModelUnavailable", f"the model of {project}/{deployment} is not in memory"
        case Refused(problems):
            return "ModelUnavailable", f"no model of {project}/{deployment} could be loaded: {'; '.join(problems)}"
        case Served() as served:
            return _language_problem(served, language) or served


def _language_problem(served: Served, language: str | None) -> tuple[str, str] | None:
    if language is None:
        return None
    if (primary := primary_language(language)) is None:
        got = f"text of {len(language)} characters"  # which may be anything, so it is not shown
        return "InvalidArgument", f"language: expected a tag such as 'en' or 'pt-BR', got {got}"
    if served.multilingual or primary == primary_language(served.language):
        return None
    return (
        "UnsupportedLanguage",
        f"project {served.project!r} is for {served.language!r} and not multilingual, got {language!r}",
    )


@lru_cache(maxsize=1024)
def primary_language(tag: str) -> str | None:
    """Return the first part of a language tag in lower case, or ``None`` for what is no language tag."""
    return re.split("[-_]", tag)[0].lower() if _LANGUAGE.fullmatch(tag) else None
