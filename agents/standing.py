"""Where a worker stands with each deployment, and what it has to load next. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from operator import is_not
from typing import Any, Self, TypeVar

from agents.registry import Registry
from agents.routing import compile_routes
from agents.serving import Key, Parked, Refused, Served, ServingTable
from schemas.records import DeploymentRecord, ModelReference, ProjectRecord, Record, RouteRecord

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a deployment's newest record.

    Attributes:
        record: The record.
        serves: Which model answers: the record's, or an older one when that could not be loaded.
        model: That model, loaded; ``None`` if none could be, or if the deployment is parked.
        problems: Why the record's own model does not answer.
    """

    record: DeploymentRecord
    serves: ModelReference | None
    model: Any
    problems: tuple[str, ...] = ()

    @property
    def parked(self) -> bool:
        """Whether a model answers that is not in memory."""
        return self.serves is not None and self.model is None

    def without_model(self) -> Self:
        """Return the standing of the same deployment, parked."""
        return replace(self, model=None)

    def shown(self, project: ProjectRecord) -> Served | Refused | Parked:
        """Return what the hot loop sees of it."""
        if self.serves is None:
            return Refused(self.problems)
        if self.model is None:
            return Parked()
        return Served(
            project=self.record.project,
            deployment=self.record.name,
            label=self.serves.label,
            digest=self.serves.digest,
            kind=project.kind,
            language=project.language,
            multilingual=project.multilingual,
            model=self.model,
        )


Records = Mapping[Key, DeploymentRecord]
Standings = Mapping[Key, Standing]


def key_of(record: DeploymentRecord) -> Key:
    """Return project and deployment."""
    return record.project, record.name


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between two states of the registry, or in how we stand.

    Attributes:
        deployments: Those that changed, with their newest record; ``None`` if they are no more.
        projects: Names of those that changed.
        routes: Whether a route changed.
    """

    deployments: Mapping[Key, DeploymentRecord | None] = field(default_factory=dict)
    projects: frozenset[str] = frozenset()
    routes: bool = False


def change(old: Registry, new: Registry) -> Change:
    """Return what a worker has to know of the way from one state to the next.

    One pass over both, without sorting: it is done at every change, and a registry remembers every command.
    """
    gone, come = _only_in(old.records, new.records), _only_in(new.records, old.records)
    keys = [key_of(record) for record in gone + come if isinstance(record, DeploymentRecord)]
    return Change(
        deployments={key: new.deployment(*key) for key in keys},
        projects=frozenset(record.name for record in gone + come if isinstance(record, ProjectRecord)),
        routes=any(isinstance(record, RouteRecord) for record in gone + come),
    )


def _only_in(one: Mapping[str, Record], other: Mapping[str, Record]) -> list[Record]:
    differ = map(is_not, one.values(), map(other.get, one))  # a tenth of the time of a loop in Python
    return list(compress(one.values(), differ))


def tabled(
    table: ServingTable,
    found: Change,
    registry: Registry,
    standings: Standings,
    *,
    route_topic: Callable[[str], str],
) -> ServingTable:
    """Return the table after a change; what did not change is taken over as it is."""
    projects = dict(table.projects)
    for name in found.projects:
        _put(projects, name, registry.project(name))
    touched = dict(found.deployments)
    if found.projects:
        records = registry.records.values()
        touched |= {
            key_of(record): record
            for record in records
            if isinstance(record, DeploymentRecord) and record.project in found.projects
        }
    deployments: dict[Key, Served | Refused | Parked] = dict(table.deployments)
    for key, record in touched.items():
        _put(deployments, key, _shown(standings.get(key), projects.get(key[0])) if record else None)
    routes = compile_routes(registry.all(RouteRecord), route_topic) if found.routes else table.routes
    return ServingTable(deployments, projects, routes)


def _put(things: dict[K, T], key: K, thing: T | None) -> None:
    if thing is None:
        things.pop(key, None)
    else:
        things[key] = thing


def _shown(standing: Standing | None, project: ProjectRecord | None) -> Served | Refused | Parked | None:
    if project is None:
        return None
    return Parked() if standing is None else standing.shown(project)


def dealt_with(record: DeploymentRecord, standing: Standing | None) -> bool:
    """Return whether ``standing`` is what became of this very record."""
    return standing is not None and (standing.record.command_id, standing.record.model) == (
        record.command_id,
        record.model,
    )


def settled(record: DeploymentRecord | None, standing: Standing | None) -> bool:
    """Return whether there is an answer for documents: a model in memory, a refusal, or no such deployment."""
    return record is None or (standing is not None and not standing.parked)


def due(records: Records, standings: Standings, *, wanted: Iterable[Key], put_off: Collection[Key]) -> list[Key]:
    """Return the deployments that have something to load, in the order in which to load it.

    First what documents wait for, in the order in which they asked; then records that have not been dealt with, the
    newest first, for somebody may wait for their control events.

    Args:
        records: The deployments of the registry.
        standings: Where we stand with them.
        wanted: What documents wait for.
        put_off: What is not loaded until documents ask for it.
    """
    asked = [key for key in wanted if not settled(records.get(key), standings.get(key))]
    new = [key for key, record in records.items() if key not in put_off and not dealt_with(record, standings.get(key))]
    return list(dict.fromkeys([*asked, *sorted(new, key=lambda key: records[key].deployed_at, reverse=True)]))


def candidates(record: DeploymentRecord, *, but: Collection[str]) -> list[ModelReference]:
    """Return the older models that could serve in the place of the record's own, the newest first.

    Args:
        record: The deployment.
        but: Digests of those that are known not to.
    """
    older = {model.digest: model for model in reversed([record.previous, *record.earlier]) if model is not None}
    return [model for digest, model in reversed(older.items()) if digest not in but]
