"""Makes the project known, and deploys its models by commands, as people do."""

import asyncio
import time
from typing import Any

import orjson

from agents.bench.model import PROJECT
from agents.client import Client, Outgoing
from agents.settings import Settings
from benchmarks.soak.report import Swap
from schemas.base import now
from schemas.commands import Deploy, DeployCommand
from schemas.control_events import EventType
from schemas.errors import LexstreamError
from schemas.names import Kind
from schemas.records import ModelRecord, ProjectRecord, Record, record_key

DEPLOYMENT = "production"
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


def deploy(settings: Settings, label: str, *, at_s: float) -> Swap:
    """Deploy a model, and return how long it took until a worker served it."""
    began = time.monotonic()
    try:
        problem = asyncio.run(_deploy(settings, label))
    except LexstreamError as error:
        problem = str(error)
    return Swap(round(at_s, 1), label, None if problem else round(time.monotonic() - began, 2), problem)


async def _deploy(settings: Settings, label: str) -> str:
    """Return why the model is not served, if it is not."""
    parameters = Deploy(model_label=label, deployment=DEPLOYMENT)
    async with Client(settings) as client:
        events = [event async for event in client.command(DeployCommand(project=PROJECT, parameters=parameters))]
    last = events[-1]
    return "" if last.event is EventType.SUCCEEDED else f"{last.event}: {last.details.get('problems')}"
