"""How an encoder runs on a machine, and what was measured of the ways in which it could.

Data alone: what measures and chooses is in ``models.tuning``.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Final

import orjson
from pydantic import Field

from schemas.base import Message

DEFAULT_PADDED_TOKENS = 1024
SPEED_FROM_BEFORE: Final = "its speed was measured before, for another model of the same encoder"
"""The reason of a trial whose answers alone were looked at for this model, if they were."""


class Plan(Message):
    """How an encoder runs.

    Attributes:
        backend: A name in ``models.engine.backend.BACKENDS``.
        streams: Micro-batches that run at the same time.
        threads: Of each of them.
        max_padded_tokens: The largest micro-batch, padding included.
    """

    backend: str
    streams: Annotated[int, Field(ge=1, le=256)] = 1
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    max_padded_tokens: Annotated[int, Field(ge=16, le=1 << 24)] = DEFAULT_PADDED_TOKENS


class Machine(Message):
    """What decides how fast an encoder is: figures of one machine say little about another.

    Attributes:
        processor: Its name.
        cpus: Processors that are ours.
        features: Its instruction sets, as far as a backend makes use of them; sorted.
        gpu: The graphics processor's name, or nothing.
        runtimes: Versions of what runs encoders.
    """

    processor: str
    cpus: Annotated[int, Field(ge=1)]
    features: list[str] = []
    gpu: str = ""
    runtimes: dict[str, str] = {}

    @property
    def key(self) -> str:
        """A short name that differs wherever figures may."""
        return hashlib.sha256(orjson.dumps(self.payload(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def __str__(self) -> str:
        """Return what people call it."""
        words = f"{self.processor}, {self.cpus} processor{'' if self.cpus == 1 else 's'}"
        return f"{words}, {self.gpu}" if self.gpu else words


class Verdict(StrEnum):
    """What a trial led to: it serves, or why it does not."""

    SERVED = "served"
    SLOWER = "slower"
    WORSE = "worse"
    DIFFERS = "differs"
    FAILED = "failed"
    SKIPPED = "skipped"


class Trial(Message):
    """A plan, and what was measured of it.

    Attributes:
        plan: The plan.
        tokens_per_s: Of the documents' own tokens, without padding; the best of some rounds.
        documents_per_s: Of the same round.
        score: Micro F1 on the held-out documents, of the plan's backend; nothing if it was not asked.
        agreement: How alike its answers are to those of FP32, as F1.
        verdict: Whether it serves, or why not.
        reason: What broke, why it was skipped, or that its speed is known from before.
    """

    plan: Plan
    tokens_per_s: float = 0.0
    documents_per_s: float = 0.0
    score: float | None = None
    agreement: float | None = None
    verdict: Verdict
    reason: str = ""


class Tuning(Message):
    """What was measured on a machine, and the plan that came of it.

    Attributes:
        machine: Where.
        plan: The fastest of those whose answers are good.
        trials: All that was tried or skipped.
        n_documents: Held-out documents that were asked about.
        n_labels: Labels in them.
        seconds: How long it took.
    """

    machine: Machine
    plan: Plan
    trials: list[Trial] = []
    n_documents: int = 0
    n_labels: int = 0
    seconds: float = 0.0

    def fastest(self, backend: str) -> Trial | None:
        """Return the fastest trial of a backend that ran, or nothing."""
        ran = [trial for trial in self.trials if trial.plan.backend == backend and trial.tokens_per_s > 0]
        return max(ran, key=lambda trial: trial.tokens_per_s, default=None)
