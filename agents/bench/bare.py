"""Subjects without Kafka: the engine at its best, and torch as it is used at first."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from agents.bench.subject import Spec
from models.decoding import decode_entities
from models.engine.cpus import available_cpus
from models.engine.engine import Answer, Engine, Request
from models.engine.loading import load_backend, load_head
from models.engine.microbatch import stack
from models.features import N_FEATURES
from models.manifest import TOKENIZER
from models.plans import Plan
from models.store import Store
from models.tokenization import Tokenizer, Tokens
from schemas.enriched import Entity
from schemas.errors import ModelError

WINDOW: Final = 256
IN_FLIGHT: Final = 2
BATCH: Final = 32
Found = list[list[Entity]]


class Bare(ABC):
    """Reads texts from a file, answers all of them, and writes the entities to another."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.store = Store(spec.store)

    async def start(self) -> None:
        """Load the model and warm it up."""
        self.load()
        self.answer(["Warm the model up before it serves. " * 20] * BATCH)

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer the texts in the file ``texts``; put the entities into ``entities``."""
        return self._timed(Path(question["texts"]), Path(question["entities"]))

    async def stop(self) -> None:  # noqa: B027 -- there may be nothing to end
        """Nothing is left to end."""

    def _timed(self, texts_file: Path, entities_file: Path) -> dict[str, Any]:
        texts = orjson.loads(texts_file.read_bytes())
        started, cpu = time.perf_counter(), time.process_time()
        found = self.answer(texts)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        entities_file.write_bytes(orjson.dumps(found))
        return {"seconds": seconds, "spent_cpu_s": cpu_s}

    @abstractmethod
    def load(self) -> None:
        """Load the model."""

    @abstractmethod
    def answer(self, texts: Sequence[str]) -> Found:
        """Return the entities of each text."""


class BareEngine(Bare):
    """The engine: windows in arrival order, two at a time."""

    def load(self) -> None:
        """Load the model as planned."""
        plan = Plan.model_validate(self.spec.plan)
        self._engine = Engine(self.store, plan_of=lambda _: plan)
        self._model = self._engine.load(self.spec.digest)

    def answer(self, texts: Sequence[str]) -> Found:
        """Return the entities of each text."""
        return [entities for window in self._windows(texts) for entities in window]

    def _windows(self, texts: Sequence[str]) -> Iterator[Found]:
        waiting: deque[Future[list[Answer]]] = deque()
        for at in range(0, len(texts), WINDOW):
            waiting.append(self._engine.submit([Request(text, (self._model,)) for text in texts[at : at + WINDOW]]))
            if len(waiting) == IN_FLIGHT:
                yield _entities(waiting.popleft().result())
        while waiting:
            yield _entities(waiting.popleft().result())


class TorchBatches(Bare):
    """Torch in FP32: batches in arrival order, padded to the longest, with the same tokeniser, head and decoder."""

    def load(self) -> None:
        """Load the parts of the model."""
        self._manifest = self.store.load_manifest(self.spec.digest)
        plan = Plan(backend="torch-fp32", threads=available_cpus())
        self._backend = load_backend(self._manifest, store=self.store, plan=plan)
        self._head = load_head(self._manifest, store=self.store)
        self._tokenizer = Tokenizer(self.store.get(self._manifest.encoder.files[TOKENIZER]))

    def answer(self, texts: Sequence[str]) -> Found:
        """Return the entities of each text."""
        return [found for at in range(0, len(texts), BATCH) for found in self._batch(texts[at : at + BATCH])]

    def _batch(self, texts: Sequence[str]) -> Found:
        tokens = self._tokenizer.encode(texts)
        ids, mask = stack(
            [each.ids for each in tokens],
            cls_id=self._tokenizer.cls_id,
            sep_id=self._tokenizer.sep_id,
            pad_id=self._tokenizer.pad_id,
            max_tokens=self._manifest.encoder.max_tokens,
        )
        hidden = self._backend.encode(ids, mask)
        return [self._decoded(*each) for each in zip(texts, tokens, hidden, strict=True)]

    def _decoded(self, text: str, tokens: Tokens, hidden: Any) -> list[Entity]:
        rows = hidden[1 : 1 + len(tokens)][tokens.word_starts]
        features = np.zeros((len(rows), N_FEATURES), dtype=np.float32)  # the head does not look at them
        logits = self._head.logits(rows, features)  # type: ignore[call-arg]  # it is one of entities
        return decode_entities(logits, tokens.words, text, categories=self._manifest.categories)


def _entities(answers: Sequence[Answer]) -> Found:
    found = []
    for answer in answers:
        if isinstance(answer, ModelError):
            raise answer
        found.append(answer[0]["entities"])
    return found
