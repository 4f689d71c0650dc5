"""What the worker needs an engine to be."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from models.engine.calls import CallThread
from models.engine.reading import Answer, Request
from models.engine.scheduler import Urgency

__all__ = ["Answer", "CallThread", "Engine", "LoadedModel", "Request", "Urgency"]


class LoadedModel(Protocol):
    """A model that is ready."""

    @property
    def digest(self) -> str:
        """Which artefact it was made from."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""


class Engine(Protocol):
    """What runs models. Its methods may be called from several threads."""

    def load(self, digest: str) -> LoadedModel:
        """Return the model, verified and warm, or raise an ArtefactError."""

    def unload(self, digest: str) -> None:
        """Forget a model."""

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        """Return at once; the result will be an answer for each request, in their order."""

    def loaded_bytes(self) -> int:
        """Return the memory that all loaded models take."""
