"""The peers: what starts them, how they are asked and how they answer."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.broker.address import free_port
from benchmarks.peers.environments import install, python_of, versions
from benchmarks.peers.judging import Answer, Span
from benchmarks.peers.programs.common import BATCH_SIZE, Setup
from benchmarks.peers.subject import ROOT, Document, Message

_MODEL_NAME = "spans"
Prepare = Callable[[Path, Setup], None]


def json_message(document: Document) -> Message:
    """Return a document as JSON, keyed by its shard."""
    return Message(f"shard-{document.shard}".encode(), json.dumps({"id": document.id, "text": document.text}).encode())


def json_answer(message: Message) -> Answer:
    """Read what the programs of this folder send."""
    value = json.loads(message.value)
    return Answer(value["id"], spans_of(value["entities"]))


def spans_of(entities: Sequence[Mapping[str, Any]]) -> frozenset[Span]:
    """Return the spans of entities with ``category``, ``offset`` and ``length``."""
    return frozenset((entity["category"], entity["offset"], entity["length"]) for entity in entities)


def inference_request(document: Document) -> Message:
    """Return a document as MLServer takes it: a request of the open inference protocol, keyed by its id."""
    inputs = [
        _bytes_input("array_inputs", document.text, content_type="str"),
        _bytes_input("aggregation_strategy", "first", content_type="raw"),
    ]
    value = json.dumps({"id": document.id, "inputs": inputs}).encode()
    return Message(document.id.encode(), value, (("mlserver-model", _MODEL_NAME.encode()),))


def inference_answer(message: Message) -> Answer:
    """Read a response of the open inference protocol; each document's entities are JSON inside it."""
    response = json.loads(message.value)
    entities = json.loads(response["outputs"][0]["data"][0])
    found = ((each["entity_group"], each["start"], each["end"] - each["start"]) for each in entities)
    return Answer(response["id"], frozenset(found))


def _bytes_input(name: str, value: str, *, content_type: str) -> dict[str, Any]:
    parameters = {"content_type": content_type}
    return {"name": name, "datatype": "BYTES", "shape": [1], "data": [value], "parameters": parameters}


@dataclass(frozen=True)
class Peer:
    """A peer in an environment of its own. See ``Subject`` for what is not said here.

    Attributes:
        packages: Whose versions are shown; the first is the peer.
        arguments: What its interpreter is given; ``{state}`` is the run's folder.
        work: Where its environment is.
    """

    name: str
    packages: tuple[str, ...]
    guarantee: str
    arguments: tuple[str, ...]
    work: Path
    share: float = 0.25
    sees_only_new: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare_with: Prepare | None = None
    message: Callable[[Document], Message] = json_message
    answer: Callable[[Message], Answer] = json_answer

    def install(self) -> None:
        """See ``Subject``."""
        install(self.name, self.work)

    def version(self) -> str:
        """See ``Subject``."""
        return versions(self.name, *self.packages)

    def topics(self, prefix: str) -> tuple[str, str]:
        """See ``Subject``."""
        return f"{prefix}.documents", f"{prefix}.answers"

    def prepare(self, setup: Setup) -> None:
        """See ``Subject``."""
        if self.prepare_with:
            self.prepare_with(python_of(self.name, self.work), setup)

    def command(self, setup: Setup) -> list[str]:
        """See ``Subject``."""
        python = str(python_of(self.name, self.work))
        return [python, *(argument.format(state=setup.state) for argument in self.arguments)]


def _make_recovery(python: Path, setup: Setup) -> None:
    folder = Path(setup.state) / "recovery"
    folder.mkdir()
    subprocess.run([str(python), "-m", "bytewax.recovery", str(folder), "1"], check=True, cwd=ROOT)


def _write_settings(_python: Path, setup: Setup) -> None:
    """Write MLServer's two settings files. Adaptive batching takes a size and how long to wait for it."""
    folder = Path(setup.state)
    server = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": free_port(),
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "metrics_dir": str(folder / "metrics"),
        "kafka_enabled": True,
        "kafka_servers": setup.brokers,
        "kafka_topic_input": setup.input,
        "kafka_topic_output": setup.output,
    }
    extra = {
        "task": "token-classification",
        "pretrained_model": setup.model,
        "framework": "pt",
        "intra_op_threads": len(os.sched_getaffinity(0)),
    }
    model = {
        "name": _MODEL_NAME,
        "implementation": "mlserver_huggingface.HuggingFaceRuntime",
        "max_batch_size": BATCH_SIZE,
        "max_batch_time": 0.5,
        "parameters": {"extra": extra},
    }
    (folder / "metrics").mkdir()
    (folder / "settings.json").write_text(json.dumps(server), "utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), "utf-8")


def _module(name: str) -> tuple[str, ...]:
    return "-m", f"benchmarks.peers.programs.{name}"


def peers(work: Path) -> list[Peer]:
    """Return all peers; their environments are in ``work``."""
    dataflow = "benchmarks.peers.programs.bytewax_flow:flow"
    return [
        Peer("naive", ("aiokafka", "transformers"), "at least once", _module("naive"), work, share=0.5),
        Peer(
            "faust",
            ("faust-streaming", "transformers"),
            "exactly once",
            (*_module("faust_agent"), "worker", "--loglevel", "warn"),
            work,
            share=0.5,
        ),
        Peer("quix", ("quixstreams", "transformers"), "exactly once", _module("quix_app"), work),
        Peer(
            "bytewax",
            ("bytewax", "transformers"),
            "at least once",
            ("-m", "bytewax.run", dataflow, "-r", "{state}/recovery", "-s", "10", "-b", "0"),
            work,
            prepare_with=_make_recovery,
        ),
        Peer(
            "mlserver",
            ("mlserver", "mlserver-huggingface", "transformers"),
            "none (no offsets)",
            ("-c", "from mlserver.cli import main; main()", "start", "{state}"),
            work,
            sees_only_new=True,
            # Its runtime imports tensorflow beside torch; transformers, which would too, crashes on the second.
            environment={"USE_TF": "0"},
            prepare_with=_write_settings,
            message=inference_request,
            answer=inference_answer,
        ),
    ]
