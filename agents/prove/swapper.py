"""Deploys one model after another: records of the registry, as a controller writes them."""

import uuid
from typing import Any, Final

import orjson

from agents.prove.clients import producer_options
from agents.prove.events import DEPLOYMENT, PROJECT
from agents.settings import Settings
from schemas.base import now
from schemas.names import Kind
from schemas.records import DeploymentRecord, ModelReference, ProjectRecord, Record, record_key

EVERY_S: Final = 4.0
_DELIVERED_S: Final = 30.0


def model(number: int) -> ModelReference:
    """Return the ``number``-th model of the run."""
    return ModelReference(label=f"v{number}", digest=f"sha256:{number:064x}")


class Swapper:
    """Writes the registry.

    Attributes:
        n_models: How many models were deployed.
    """

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka import Producer

        self._topic = settings.topics.registry
        self._producer: Any = Producer(producer_options(settings))
        self.n_models = 0

    def start(self) -> None:
        """Make the project and deploy its first model; return when Kafka has it."""
        at = now()
        self._write(ProjectRecord(name=PROJECT, kind=Kind.ENTITIES, language="en", created_at=at, updated_at=at))
        self.swap()
        self._producer.flush(_DELIVERED_S)

    def swap(self) -> None:
        """Deploy the next model; Kafka will have it soon."""
        self.n_models += 1
        self._write(
            DeploymentRecord(
                project=PROJECT,
                name=DEPLOYMENT,
                model=model(self.n_models),
                previous=model(self.n_models - 1) if self.n_models > 1 else None,
                deployed_at=now(),
                command_id=str(uuid.uuid4()),
            )
        )

    def close(self) -> None:
        """Send what waits, if Kafka takes it soon."""
        self._producer.flush(1)

    def _write(self, record: Record) -> None:
        value = orjson.dumps(record.payload())
        self._producer.produce(self._topic, key=record_key(record).encode(), value=value)
        self._producer.poll(0)
