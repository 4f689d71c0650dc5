"""Lexstream's worker as a subject: a process of its own with its default settings, exactly once."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import orjson
from confluent_kafka import Producer

from benchmarks.peers.catalogue import json_message, spans_of
from benchmarks.peers.judging import Answer
from benchmarks.peers.programs.common import Setup
from benchmarks.peers.report import OURS
from benchmarks.peers.subject import ROOT, Document, Message
from models.manifest import Manifest
from schemas.base import now
from schemas.records import DeploymentRecord, ModelRecord, ModelReference, ProjectRecord, Record, record_key
from schemas.topics import Topics

AUTO = "auto"
_DEPLOYMENT = "production"
_LEXSTREAM = Path(sys.executable).parent / "lexstream"


class Ours:
    """See ``Subject``.

    Args:
        manifest: The model.
        store: URL of the store that has it.
        backend: What runs it; the default is what its tuning chose.
    """

    guarantee = "exactly once"
    sees_only_new = False

    def __init__(self, manifest: Manifest, *, store: str, backend: str = AUTO) -> None:
        self.name = OURS if backend == AUTO else f"{OURS}, {backend}"
        self.share = 1.0 if backend == AUTO else 0.5
        self.environment: Mapping[str, str] = {"LEXSTREAM_BACKEND": backend}
        self._manifest = manifest
        self._store = store

    def install(self) -> None:
        """It runs where this runs."""

    def version(self) -> str:
        """See ``Subject``."""
        return f"lexstream {version('lexstream')}"

    def topics(self, prefix: str) -> tuple[str, str]:
        """See ``Subject``."""
        return Topics(prefix).documents, Topics(prefix).enriched

    def prepare(self, setup: Setup) -> None:
        """Make the remaining topics and deploy the model, as the control plane would record it."""
        command = [*self._lexstream(setup), "topics", "create", "--partitions", "4"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        producer = Producer({"bootstrap.servers": setup.brokers})
        for record in self._records():
            value = orjson.dumps(record.payload())
            producer.produce(Topics(_namespace(setup)).registry, key=record_key(record), value=value)
        producer.flush(10)

    def command(self, setup: Setup) -> list[str]:
        """See ``Subject``."""
        task = f"{self._manifest.project}/{_DEPLOYMENT}"
        options = ["--store", self._store, "--default-task", task, "--group", setup.group, "--metrics-port", "0"]
        return [*self._lexstream(setup), "worker", *options]

    def message(self, document: Document) -> Message:
        """See ``Subject``."""
        return json_message(document)

    def answer(self, message: Message) -> Answer:
        """See ``Subject``."""
        enriched = orjson.loads(message.value)
        return Answer(enriched["id"], spans_of([each for result in enriched["results"] for each in result["entities"]]))

    def _lexstream(self, setup: Setup) -> list[str]:
        return [str(_LEXSTREAM), "--brokers", setup.brokers, "--namespace", _namespace(setup)]

    def _records(self) -> list[Record]:
        model, at = self._manifest, now()
        reference = ModelReference(label=model.label, digest=model.digest)
        return [
            ProjectRecord(
                name=model.project,
                kind=model.kind,
                language=model.language,
                categories=model.categories,
                created_at=at,
                updated_at=at,
            ),
            ModelRecord(
                project=model.project,
                label=model.label,
                digest=model.digest,
                kind=model.kind,
                job_id="peers",
                trained_at=at,
                duration_s=0,
                evaluation="",
            ),
            DeploymentRecord(
                project=model.project, name=_DEPLOYMENT, model=reference, deployed_at=at, command_id="peers"
            ),
        ]


def _namespace(setup: Setup) -> str:
    return setup.input.removesuffix(".documents")
