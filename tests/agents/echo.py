"""An engine without models: it finds the first word of every text. And tables that do not change by themselves."""

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from agents.inference import Answer, Request, Urgency
from agents.routing import Routes
from agents.serving import Key, Refused, Served, ServingTable
from models.engine.readers import Prediction
from models.manifest import Manifest
from models.plans import Plan
from schemas.base import now
from schemas.errors import ArtefactNotFound, ModelError
from schemas.names import Kind
from schemas.records import ProjectRecord

POISON = "POISON"


@dataclass(frozen=True)
class EchoBackend:
    plan: Plan = field(default_factory=lambda: Plan(backend="echo"))


@dataclass(frozen=True)
class EchoManifest:
    tuning: None = None


@dataclass(frozen=True)
class EchoParts:
    encoder: str = "none"


@dataclass(frozen=True)
class EchoModel:
    digest: str
    nbytes: int = 1000
    own_nbytes: int = 1000
    parts: EchoParts = EchoParts()
    backend: EchoBackend = EchoBackend()
    manifest: EchoManifest | Manifest = EchoManifest()


class EchoEngine:
    """Knows every digest but those named as missing."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        self.models: dict[str, EchoModel] = {}
        self.missing = set(missing)
        self.windows: list[tuple[Urgency, int]] = []

    def load(self, digest: str) -> EchoModel:
        if digest in self.missing:
            raise ArtefactNotFound(f"{digest} is not in the store")
        return self.models.setdefault(digest, EchoModel(digest))

    def unload(self, digest: str) -> None:
        self.models.pop(digest, None)

    def loaded_bytes(self) -> int:
        return sum(model.nbytes for model in self.models.values())

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        self.windows.append((urgency, len(requests)))
        future: Future[list[Answer]] = Future()
        future.set_result(self.answers(requests))
        return future

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        broken = ModelError("the model broke")
        return [
            broken if POISON in request.text else [first_word(request.text)] * len(request.models)
            for request in requests
        ]


def first_word(text: str) -> Prediction:
    start = len(text) - len(text.lstrip())
    return Prediction(
        entities=[
            {"text": word, "category": "Word", "offset": start, "length": len(word), "confidenceScore": 0.9}
            for word in text.split(maxsplit=1)[:1]
        ]
    )


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

    def used(self, keys: Collection[Key]) -> None:
        """Nobody counts."""
