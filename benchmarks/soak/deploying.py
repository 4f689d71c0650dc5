"""Makes the project known, and deploys its models by commands, as people do."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiokafka.errors import KafkaError

from agents.bench.model import PROJECT
from agents.client import Client, Outgoing
from agents.settings import Settings
from benchmarks.soak.swaps import Swap
from benchmarks.soak.tally import DEPLOYMENT
from schemas.base import now
from schemas.commands import Deploy, DeployCommand
from schemas.control_events import EventType
from schemas.errors import LexstreamError
from schemas.names import Kind
from schemas.records import ModelRecord, ProjectRecord, Record, record_key

TASK = f"{PROJECT}/{DEPLOYMENT}"


async def register(settings: Settings, digests: dict[str, str]) -> None:
    """Write the project and its models into the registry, as a training leaves them."""
    at = now()
    records: list[Record] = [
        ProjectRecord(name=PROJECT, kind=Kind.ENTITIES, language="en", created_at=at, updated_at=at)
    ]
    facts: dict[str, Any] = {
        "project": PROJECT, "kind": Kind.ENTITIES, "job_id": "none", "trained_at": at, "duration_s": 0.0,
        "evaluation": "none",
    }  # fmt: skip
    records += [ModelRecord(label=label, digest=digest, **facts) for label, digest in digests.items()]
    async with Client(settings) as client:
        for record in records:
            message = Outgoing(orjson.dumps(record.payload()), record_key(record).encode())
            await client.send(settings.topics.registry, message)


class Swapping:
    """Deploys the models in turns, one at a time, in threads that nothing has to wait for.

    Attributes:
        n_begun: How many were begun.
        swaps: Those that are over.
        error: What nobody foresaw.
    """

    def __init__(self, settings: Settings, labels: Sequence[str], *, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._labels = labels
        self._now_s = now_s
        self._thread = threading.Thread()
        self.n_begun = 0
        self.swaps: list[Swap] = []
        self.error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a model is being deployed."""
        return self._thread.is_alive()

    def begin(self) -> None:
        """Deploy the next."""
        label = self._labels[self.n_begun % len(self._labels)]
        self.n_begun += 1
        self._thread = threading.Thread(target=self._run, args=(label,), name="swap", daemon=True)
        self._thread.start()

    def _run(self, label: str) -> None:
        try:
            self.swaps.append(asyncio.run(deployed(self._settings, label, now_s=self._now_s)))
        except BaseException as error:
            self.error = error


async def deployed(settings: Settings, label: str, *, now_s: Callable[[], float]) -> Swap:
    """Deploy a model, and return how long it took until a worker served it."""
    at_s, began = now_s(), time.monotonic()
    try:
        problem = await _deploy(settings, label)
    except (LexstreamError, KafkaError) as error:
        problem = str(error)
    return Swap(round(at_s, 1), label, None if problem else round(time.monotonic() - began, 2), problem)


async def _deploy(settings: Settings, label: str) -> str:
    """Return why the model is not served, if it is not."""
    parameters = Deploy(model_label=label, deployment=DEPLOYMENT)
    async with Client(settings) as client:
        events = [event async for event in client.command(DeployCommand(project=PROJECT, parameters=parameters))]
    last = events[-1]
    return "" if last.event is EventType.SUCCEEDED else f"{last.event}: {last.details.get('problems')}"
