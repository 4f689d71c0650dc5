"""The models in memory: loaded and unloaded one after another in a thread of their own, and measured."""

import logging
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from agents.inference import CallThread, Engine
from agents.keeping import Held, surplus, total_bytes
from agents.metrics import Metrics

logger = logging.getLogger(__name__)


class Shelf:
    """Holds models within a bound. Belongs to one event loop, and to one task that loads and unloads.

    Args:
        engine: Loads models.
        most_bytes: The bound.
        metrics: What is measured.
    """

    def __init__(self, engine: Engine, *, most_bytes: int, metrics: Metrics) -> None:
        self._engine = engine
        self._most_bytes = most_bytes
        self._metrics = metrics
        self._models: dict[str, Any] = {}
        self._sizes: dict[str, Held] = {}
        self._thread = CallThread("loading")
        self.over = False
        """Whether the models take more than the bound."""

    def get(self, digest: str) -> Any:
        """Return a model that is in memory, or ``None``."""
        return self._models.get(digest)

    def knows(self, digest: str) -> bool:
        """Whether a model is not in memory, but was, so that its size is known."""
        return digest in self._sizes and digest not in self._models

    async def load(self, digest: str) -> Any:
        """Return a model, loaded if it is not in memory; what goes for it is up to the caller.

        Raises:
            ArtefactError: It cannot be served.
            Unavailable: The store does not answer.
        """
        if (model := self._models.get(digest)) is not None:
            return model
        model = await self._thread.run(partial(self._engine.load, digest))
        self._models[digest] = model
        self._sizes[digest] = held(model)
        self._metrics.loads.inc()
        self._measure()
        return model

    def surplus(self, ranked: Iterable[str], *, pinned: Collection[str]) -> list[str]:
        """Return what has to go: the models that nobody needs, and those that there is no room for.

        Args:
            ranked: Digests of models that are worth their memory, the dearest first. Room is kept for those that are
                not in memory but pinned, if their size is known.
            pinned: Digests of models that must stay.
        """
        worth = [digest for digest in ranked if digest in self._models or (digest in pinned and self.knows(digest))]
        useless = self._models.keys() - set(worth) - set(pinned)
        goes = surplus([self._sizes[digest] for digest in worth], most_bytes=self._most_bytes, pinned=pinned)
        return [*useless, *(digest for digest in goes if digest in self._models)]

    async def unload(self, digests: Iterable[str]) -> None:
        """Drop models; whoever holds one may go on to use it."""
        gone = [digest for digest in digests if self._models.pop(digest, None) is not None]
        for digest in gone:
            await self._thread.run(partial(self._engine.unload, digest))
            self._metrics.unloads.inc()
            logger.info("unloaded %s", digest, extra={"action": "unload"})
        self._measure()

    def remember(self, deployed: Collection[str]) -> None:
        """Measure what is deployed, and forget the sizes of models that are neither that nor in memory."""
        self._sizes = {d: size for d, size in self._sizes.items() if d in self._models or d in deployed}
        self._metrics.deployed_bytes.set(total_bytes(self._sizes[d] for d in deployed if d in self._sizes))

    def close(self) -> None:
        """End the thread after what is queued."""
        self._thread.stop()

    def _measure(self) -> None:
        n_bytes = self._engine.loaded_bytes()
        self.over = n_bytes > self._most_bytes
        self._metrics.models.set(len(self._models))
        self._metrics.model_bytes.set(n_bytes)


def held(model: Any) -> Held:
    """Return what a loaded model takes, and whom it shares its encoder with."""
    return Held(model.digest, model.own_nbytes, model.parts.encoder, model.nbytes - model.own_nbytes)
