"""A model that is none: it finds the first word of a text and says which model it is. Thinks for a moment, though."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from agents.inference import Answer, Request, Urgency
from agents.prove.events import BREAKS
from models.engine.readers import Prediction
from models.plans import Plan
from schemas.errors import ModelError

THINKS_S: Final[Mapping[Urgency, float]] = {Urgency.INTERACTIVE: 0.01, Urgency.BULK: 0.03}
"""How long a window takes, so that a murder finds some in the model."""
LONG_THINKS_S: Final = 0.3
"""How long a document takes that is too long for a window."""
SLOW_S: Final = 1.5
"""How long it takes while slowed down."""
SLOW_FOR_S: Final = 6.0
"""How long it is slowed down."""


_PLAN: Final = Plan(backend="echo")


@dataclass(frozen=True)
class EchoBackend:
    """How it runs."""

    plan: Plan = _PLAN


@dataclass(frozen=True)
class EchoManifest:
    """What was measured of it: nothing."""

    tuning: None = None


@dataclass(frozen=True)
class EchoParts:
    """What it is made of."""

    encoder: str = "none"


@dataclass(frozen=True)
class EchoModel:
    """Any digest makes one."""

    digest: str
    nbytes: int = 1000
    own_nbytes: int = 1000
    parts: EchoParts = EchoParts()
    backend: EchoBackend = EchoBackend()
    manifest: EchoManifest = EchoManifest()


class EchoEngine:
    """Knows every digest, and answers windows of one urgency one after another."""

    def __init__(self, thinks_s: Mapping[Urgency, float] = THINKS_S) -> None:
        self._thinks_s = thinks_s
        self._slow_until = 0.0
        self._n_loaded = 0
        self._threads = {urgency: ThreadPoolExecutor(1, f"echo-{urgency.name}") for urgency in Urgency}

    def load(self, digest: str) -> EchoModel:
        """Return a model."""
        self._n_loaded += 1
        return EchoModel(digest)

    def unload(self, _digest: str) -> None:
        """Nothing is held."""
        self._n_loaded -= 1

    def loaded_bytes(self) -> int:
        """Return what the models claim to take."""
        return self._n_loaded * EchoModel.nbytes

    def slow_down(self) -> None:
        """Take its time for a while."""
        self._slow_until = time.monotonic() + SLOW_FOR_S

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        """Answer after a moment."""
        return self._threads[urgency].submit(self._think, requests, urgency)

    def _think(self, requests: Sequence[Request], urgency: Urgency) -> list[Answer]:
        time.sleep(SLOW_S if time.monotonic() < self._slow_until else self._thinks_s.get(urgency, LONG_THINKS_S))
        return [answer(request) for request in requests]


def answer(request: Request) -> Answer:
    """Return what the models say of one text."""
    if BREAKS in request.text:
        return ModelError("the model was told to break")
    word = request.text.split(maxsplit=1)[0]
    offset = request.text.index(word)
    return [
        Prediction(
            entities=[
                {
                    "text": word,
                    "category": model.digest,
                    "offset": offset,
                    "length": len(word),
                    "confidenceScore": 1.0,
                }
            ]
        )
        for model in request.models
    ]
