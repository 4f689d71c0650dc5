"""Subjects that are Lexstream's own loop: exactly once, at least once, and without a model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from agents.bench.at_least_once import make_producers
from agents.bench.subject import Spec
from agents.hotloop.service import HotLoopThread, new_producers
from agents.hotloop.transactions import Turns
from agents.inference import Answer, Engine, LoadedModel, Request, Urgency
from agents.leaving import leave
from agents.metrics import Metrics
from agents.serving import Key, Served, ServingTable
from agents.settings import Settings
from models.engine.engine import Engine as RealEngine
from models.plans import Plan
from models.store import Store
from schemas.base import now
from schemas.names import Kind
from schemas.records import ProjectRecord

PROJECT, DEPLOYMENT = "bench", "production"
TASK = f"{PROJECT}/{DEPLOYMENT}"


class FixedTables:
    """A serving table that never changes."""

    def __init__(self, model: LoadedModel) -> None:
        """Serve ``model`` as the one deployment."""
        served = Served(
            project=PROJECT,
            deployment=DEPLOYMENT,
            label="v1",
            digest=model.digest,
            kind=Kind.ENTITIES,
            language="en",
            multilingual=False,
            model=model,
        )
        at = now()
        project = ProjectRecord(name=PROJECT, kind=Kind.ENTITIES, language="en", created_at=at, updated_at=at)
        self._table = ServingTable({(PROJECT, DEPLOYMENT): served}, {PROJECT: project})

    def table(self) -> ServingTable:
        """Return the table."""
        return self._table

    async def settle(self, keys: set[Key]) -> None:
        """Nothing will change."""

    def used(self, keys: Collection[Key]) -> None:
        """Nobody counts."""


class Worker(ABC):
    """The hot loop with a fixed serving table."""

    producers: Callable[[Settings, TopicPartition], Turns] = staticmethod(new_producers)

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.metrics = Metrics()

    @abstractmethod
    def engine(self) -> tuple[Engine, LoadedModel]:
        """Return the engine, and the model that it has loaded."""

    async def start(self) -> None:
        """Load the model and start the loop."""
        engine, model = self.engine()
        self._loop = HotLoopThread(
            Settings(**self.spec.settings),
            engine=engine,
            tables=FixedTables(model),
            metrics=self.metrics,
            failed=leave,
            producers=self.producers,
        )
        await self._loop.start()

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the seconds of each stage so far."""
        return {"stages": stages(self.metrics)}

    async def stop(self) -> None:
        """End the loop."""
        await self._loop.stop()


class ExactlyOnce(Worker):
    """As it is served."""

    def engine(self) -> tuple[Engine, LoadedModel]:
        """Return the engine with the model as planned."""
        plan, metrics = Plan.model_validate(self.spec.plan), self.metrics
        engine = RealEngine(
            Store(self.spec.store),
            plan_of=lambda _: plan,
            observe=lambda stage, seconds: metrics.observe_stage(f"model_{stage}", seconds),
        )
        return engine, engine.load(self.spec.digest)


class AtLeastOnce(ExactlyOnce):
    """The same without transactions."""

    producers = staticmethod(make_producers)


@dataclass(frozen=True)
class EchoModel:
    """No model."""

    digest: str = "sha256:" + "0" * 64
    nbytes: int = 0


class EchoEngine:
    """Finds the first word of every text: next to no work."""

    def load(self, _digest: str) -> EchoModel:
        """Return the model that is none."""
        return EchoModel()

    def unload(self, _digest: str) -> None:
        """Nothing is loaded."""

    def loaded_bytes(self) -> int:
        """Nothing is loaded."""
        return 0

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        """Answer at once."""
        future: Future[list[Answer]] = Future()
        future.set_result([[{"entities": [_first_word(request.text)]}] for request in requests])
        return future


class Echo(Worker):
    """The loop alone."""

    def engine(self) -> tuple[Engine, LoadedModel]:
        """Return the engine that does nothing."""
        return EchoEngine(), EchoModel()


def _first_word(text: str) -> Any:
    word = text.split(maxsplit=1)[0]
    return {"text": word, "category": "Word", "offset": 0, "length": len(word), "confidenceScore": 0.9}


def stages(metrics: Metrics) -> dict[str, float]:
    """Return the seconds of each stage so far."""
    return {
        sample.labels["stage"]: sample.value
        for family in metrics.stage.collect()
        for sample in family.samples
        if sample.name.endswith("_sum")
    }
