"""Where a worker stands with each deployment, what it has to load next, and what it may forget. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.registry import Registry
from agents.serving import Key, Refused, Served
from schemas.records import DeploymentRecord, ModelReference, ProjectRecord


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a deployment's newest record.

    Attributes:
        record: The record.
        serves: Which model answers: the record's, or an older one when that could not be loaded.
        model: That model, loaded; ``None`` if none could be.
        problems: Why the record's own model does not answer.
    """

    record: DeploymentRecord
    serves: ModelReference | None
    model: Any
    problems: tuple[str, ...] = ()

    def shown(self, project: ProjectRecord) -> Served | Refused:
        """Return what the hot loop sees of it."""
        if self.serves is None:
            return Refused(self.problems)
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


Standings = Mapping[Key, Standing]


def key_of(record: DeploymentRecord) -> Key:
    """Return project and deployment."""
    return record.project, record.name


def next_record(registry: Registry, standings: Standings) -> DeploymentRecord | None:
    """Return a deployment whose record has not been dealt with, or ``None``."""
    for record in registry.all(DeploymentRecord):
        standing = standings.get(key_of(record))
        if standing is None or _differs(standing.record, record):
            return record
    return None


def still_there(registry: Registry, standings: Standings) -> dict[Key, Standing]:
    """Return the standings of those deployments that the registry has."""
    return {key: standing for key, standing in standings.items() if registry.deployment(*key)}


def forgettable(standings: Iterable[Standing], sizes: Mapping[str, int], *, most_bytes: int) -> set[str]:
    """Return the digests of loaded models that nobody needs.

    Models that deployments could roll back to are kept while there is room, those of the newest deployments first.

    Args:
        standings: Where we stand.
        sizes: The loaded models' bytes by digest.
        most_bytes: Room for models that no deployment serves.
    """
    known = list(standings)
    rest = set(sizes) - {standing.serves.digest for standing in known if standing.serves}
    room = most_bytes
    for standing in sorted(known, key=lambda standing: standing.record.deployed_at, reverse=True):
        previous = standing.record.previous
        if previous and previous.digest in rest and sizes[previous.digest] <= room:
            rest.discard(previous.digest)
            room -= sizes[previous.digest]
    return rest


def _differs(old: DeploymentRecord, new: DeploymentRecord) -> bool:
    return (old.command_id, old.model) != (new.command_id, new.model)
