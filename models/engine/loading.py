"""Artefacts to loaded models that share what they have in common: tokenizers, encoders and their memory."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Semaphore
from typing import Generic, TypeVar

from models.engine.backend import BACKENDS, GRAPHS, OPENVINO_BACKENDS, TORCH_BACKENDS, Backend
from models.engine.graph_check import check_graph
from models.engine.inspection import CONFIG_BYTES, HEAD_BYTES
from models.engine.onnx_backend import OnnxBackend
from models.engine.openvino_backend import OpenVinoBackend, runs_openvino
from models.heads import Head, load_class_head, load_entity_head
from models.manifest import CONFIG, TOKENIZER, WEIGHTS, Manifest
from models.plans import Plan
from models.store import Store
from models.tokenization import Tokenizer
from schemas.errors import ArtefactCorrupt, ArtefactError
from schemas.names import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """The digests that decide whether two models share an encoder, and a tokenizer."""

    encoder: str
    tokenizer: str


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that is ready to answer. It stays usable while somebody holds it, even after it was unloaded.

    Attributes:
        digest: The model's digest.
        manifest: What it is.
        head: Its own head.
        tokenizer: Shared with other models of the same tokenizer.
        backend: Its encoder, shared with other models of the same encoder and plan.
        permits: As many as the backend has streams; shared with it.
        parts: What it shares with whom.
        nbytes: Memory of all its parts, shared or not.
    """

    digest: str
    manifest: Manifest
    head: Head
    tokenizer: Tokenizer
    backend: Backend
    permits: Semaphore
    parts: Parts
    nbytes: int

    @property
    def own_nbytes(self) -> int:
        """Memory that nobody else shares."""
        return self.head.weight.nbytes + self.head.bias.nbytes


class Shared(Generic[T]):
    """Things by digest that are made once and dropped with their last user."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, tuple[T, int]] = {}

    def take(self, key: str, make: Callable[[], T]) -> T:
        """Return the thing under ``key``, made if it is not there; others wait while it is being made."""
        with self._lock:
            thing, users = self._held[key] if key in self._held else (make(), 0)
            self._held[key] = (thing, users + 1)
            return thing

    def give_back(self, key: str) -> None:
        """End one use."""
        with self._lock:
            thing, users = self._held.pop(key)
            if users > 1:
                self._held[key] = (thing, users - 1)

    def held(self) -> list[T]:
        """Return all that is there now."""
        return [thing for thing, _ in list(self._held.values())]


def possible_backends(manifest: Manifest) -> list[str]:
    """Return the backends that a model can run on here: it has a graph for them, and the processor their precision."""
    return [name for name in BACKENDS if _has_graph(manifest, name) and _runs_here(name)]


def check_backend(manifest: Manifest, name: str) -> None:
    """Refuse a backend that a model cannot run on.

    Raises:
        ArtefactError: There is no such backend, the model has no graph for it, or this machine cannot run it.
    """
    if name not in BACKENDS or not _has_graph(manifest, name) or not _runs_here(name):
        raise ArtefactError(
            f"got backend {name!r} for model {manifest.label}, expected one of "
            f"{', '.join(possible_backends(manifest))} on this machine (of all: {', '.join(BACKENDS)})"
        )


def parts_of(manifest: Manifest, plan: Plan) -> Parts:
    """Return what a model shares when it is served as planned."""
    files = manifest.encoder.files
    name = plan.backend
    encoder = manifest.graphs[GRAPHS[name]] if name in GRAPHS else f"{files[WEIGHTS]}+{files[CONFIG]}"
    return Parts(f"{name} {plan.streams}x{plan.threads}:{encoder}", files[TOKENIZER])


def load_backend(manifest: Manifest, *, store: Store, plan: Plan) -> Backend:
    """Return the encoder of a model, as planned; only the library that runs it is imported.

    What is checked are the very bytes that the library gets: a file that is replaced meanwhile changes nothing.

    Raises:
        ArtefactCorrupt: The encoder's files are not what they should be.
    """
    files = manifest.encoder.files
    if plan.backend in TORCH_BACKENDS:
        from models.engine.torch_backend import TorchBackend

        return TorchBackend(store.get(files[CONFIG], most_bytes=CONFIG_BYTES), store.cached(files[WEIGHTS]), plan=plan)
    graph = store.cached(manifest.graphs[GRAPHS[plan.backend]])
    check_graph(graph, width=manifest.encoder.hidden_size)
    if plan.backend in OPENVINO_BACKENDS:
        return OpenVinoBackend(graph, plan=plan)
    return OnnxBackend(graph, plan=plan)


def _has_graph(manifest: Manifest, name: str) -> bool:
    return name in TORCH_BACKENDS or GRAPHS[name] in manifest.graphs


def _runs_here(name: str) -> bool:
    return name not in OPENVINO_BACKENDS or runs_openvino(name)


def load_head(manifest: Manifest, *, store: Store) -> Head:
    """Return the head of a model."""
    load = load_entity_head if manifest.kind is Kind.ENTITIES else load_class_head
    width = manifest.encoder.hidden_size
    return load(
        store.get(manifest.head, most_bytes=HEAD_BYTES), n_categories=len(manifest.categories), hidden_size=width
    )


def check_lengths(manifest: Manifest) -> None:
    """Refuse a manifest whose segments do not fit its encoder.

    Raises:
        ArtefactCorrupt: They are longer than the encoder's positions.
    """
    if manifest.decoding.max_tokens > manifest.encoder.max_tokens:
        raise ArtefactCorrupt(
            f"got segments of {manifest.decoding.max_tokens} tokens, expected at most {manifest.encoder.max_tokens}"
        )
