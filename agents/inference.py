"""What the worker needs an engine to be, and threads that take one call after another, seen from event loops."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from models.engine.window import Request
from schemas.errors import ModelError

__all__ = ["Answer", "CallThread", "Engine", "LoadedModel", "Request"]

T = TypeVar("T")


Answer = Sequence[Any] | ModelError
"""One prediction for each model that was asked, or that the document broke them."""


class LoadedModel(Protocol):
    """A model that is ready."""

    @property
    def digest(self) -> str:
        """Which artefact it was made from."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""


class Engine(Protocol):
    """What runs models. ``load`` may be called beside ``predict``, from another thread."""

    def load(self, digest: str) -> LoadedModel:
        """Return the model, verified and warm, or raise an ArtefactError."""

    def unload(self, digest: str) -> None:
        """Forget a model."""

    def predict(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """Return an answer for each request, in their order."""

    def loaded_bytes(self) -> int:
        """Return the memory that all loaded models take."""


class CallThread:
    """Runs calls one after another in a thread of its own, first in, first out.

    The thread is a daemon: a process that has to leave does not wait for a forward pass.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Queue ``call``; may be called from any thread."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    async def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` in the thread and return what it returns."""
        return await asyncio.wrap_future(self.submit(call))

    def stop(self) -> None:
        """Let the thread end after what is queued."""
        self._calls.put(None)

    def _run(self) -> None:
        while (queued := self._calls.get()) is not None:
            future, call = queued
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del queued, future, call  # an idle thread must not hold a window
