"""An engine without models: it finds the first word of every text. And tables that do not change by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.inference import Answer, Request
from agents.routing import Routes
from agents.serving import Key, Refused, Served, ServingTable
from models.manifest import BackendReport
from schemas.base import now
from schemas.errors import ArtefactNotFound, ModelError
from schemas.names import Kind
from schemas.records import ProjectRecord

POISON = "POISON"


@dataclass(frozen=True)
class EchoBackend:
    name: str = "echo"


@dataclass(frozen=True)
class EchoManifest:
    backends: tuple[BackendReport, ...] = ()


@dataclass(frozen=True)
class EchoModel:
    digest: str
    nbytes: int = 1000
    backend: EchoBackend = EchoBackend()
    manifest: EchoManifest = EchoManifest()


class EchoEngine:
    """Knows every digest but those named as missing."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        self.models: dict[str, EchoModel] = {}
        self.missing = set(missing)
        self.windows: list[int] = []

    def load(self, digest: str) -> EchoModel:
        if digest in self.missing:
            raise ArtefactNotFound(f"{digest} is not in the store")
        return self.models.setdefault(digest, EchoModel(digest))

    def unload(self, digest: str) -> None:
        self.models.pop(digest, None)

    def loaded_bytes(self) -> int:
        return sum(model.nbytes for model in self.models.values())

    def predict(self, requests: Sequence[Request]) -> list[Answer]:
        self.windows.append(len(requests))
        broken = ModelError("the model broke")
        return [
            broken if POISON in request.text else [first_word(request.text)] * len(request.models)
            for request in requests
        ]


def first_word(text: str) -> dict[str, object]:
    start = len(text) - len(text.lstrip())
    return {
        "entities": [
            {"text": word, "category": "Word", "offset": start, "length": len(word), "confidenceScore": 0.9}
            for word in text.split(maxsplit=1)[:1]
        ]
    }


def project(name: str = "loans", **facts: object) -> ProjectRecord:
    return ProjectRecord.model_validate(
        {"name": name, "kind": Kind.ENTITIES, "language": "en", "createdAt": now(), "updatedAt": now(), **facts}
    )


def served(deployment: str = "production", digest: str = "sha256:" + "0" * 64, **facts: object) -> Served:
    given = {
        "project": "loans",
        "deployment": deployment,
        "label": "v1",
        "digest": digest,
        "kind": Kind.ENTITIES,
        "language": "en",
        "multilingual": False,
        "model": EchoModel(digest),
    }
    return Served(**{**given, **facts})  # type: ignore[arg-type]


def table(*deployments: Served, routes: Routes | None = None, refused: Sequence[Key] = ()) -> ServingTable:
    found: dict[Key, Served | Refused] = {(one.project, one.deployment): one for one in deployments}
    found |= dict.fromkeys(refused, Refused(("digest mismatch",)))
    return ServingTable(found, {name: project(name) for name, _ in found}, routes or {})


class FixedTables:
    def __init__(self, present: ServingTable) -> None:
        self.present = present
        self.settled: list[set[Key]] = []

    def table(self) -> ServingTable:
        return self.present

    async def settle(self, keys: set[Key]) -> None:
        self.settled.append(keys)
