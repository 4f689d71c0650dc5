"""Hostile artefacts through ``lexstream deploy``: a real worker refuses them while documents flow."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.registry import encode_record
from models.store import Store
from schemas.base import now
from schemas.names import Kind
from schemas.records import ModelRecord, ProjectRecord, Record, record_key
from tests.acceptance.stack import Stack, body
from tests.hostile_artefacts.bench import Bench
from tests.hostile_artefacts.cases import CASES

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

DEPLOYED = [
    "wrong digest",
    "truncated weights with their digest",
    "path in the manifest",
    "pickle as weights",
    "remote code",
    "shape of the head",
    "weights of terabytes",
    "external data",
]
"""Each takes a command line of its own, so not all of them."""
_RECORDED = {
    "evaluation": "sha256:" + "0" * 64,
    "kind": Kind.ENTITIES,
    "jobId": "j",
    "durationS": 1.0,
    "summary": {},
}


@pytest.fixture
def stack(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Stack]:
    made = Stack(kafka, namespace, tmp_path)
    made.cli("topics", "create", "--partitions", "2")
    try:
        yield made
    except AssertionError:
        print(made.logs())
        raise
    finally:
        made.stop()


def record(stack: Stack, *records: Record) -> None:
    """Write into the registry, as somebody who has got hold of it would."""
    entries = [(0, record_key(each).encode(), encode_record(each), ()) for each in records]
    stack.produce(stack.topic("registry"), entries)


def model(label: str, digest: str) -> ModelRecord:
    facts = {"project": "loans", "label": label, "digest": digest, "trainedAt": now(), **_RECORDED}
    return ModelRecord.model_validate(facts)


class Traffic:
    """Sends a document every few milliseconds until told to stop."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            tasks = [{"project": "loans", "deployment": "production"}]
            value = json.dumps({"id": f"d{self.sent}", "text": "Ann of Rome lends $5.", "tasks": tasks}).encode()
            self.sent += self._stack.produce(self._stack.topic("documents"), [(self.sent % 2, b"k", value, ())])


def test_each_is_rejected_and_the_old_model_serves_on(stack: Stack, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    bench = Bench(Store((tmp_path / "store").as_uri()), tmp_path / "store", outside)
    good = bench.saved(label="good")
    project = {"name": "loans", "kind": Kind.ENTITIES, "language": "en", "createdAt": now(), "updatedAt": now()}
    record(stack, ProjectRecord.model_validate(project), model("good", good))
    stack.start("worker", LEXSTREAM_TUNING_S="0", LEXSTREAM_BACKEND="onnx-fp32")
    stack.cli("deploy", "loans", "good", "--deployment", "production")
    with Traffic(stack) as traffic:
        for number, name in enumerate(DEPLOYED):
            deploy_hostile(stack, bench, name, label=f"evil-{number}")
    outputs = stack.count(stack.topic("enriched"), n=traffic.sent)
    assert len(outputs) == traffic.sent
    assert sorted(body(each)["id"] for each in outputs) == sorted(f"d{number}" for number in range(traffic.sent))
    assert {body(each)["results"][0]["model"]["digest"] for each in outputs} == {good}
    events = stack.events(until=lambda found: len(refusals(found)) >= len(DEPLOYED))
    assert [event["details"]["model"]["label"] for event in refusals(events)] == [
        f"evil-{number}" for number in range(len(DEPLOYED))
    ]
    switched = [event["details"]["to"] for event in events if event["event"] == "switched"]
    assert set(switched) == {good}
    assert not bench.marker().exists()
    assert stack.processes[0].poll() is None


def refusals(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == "rejected" and "worker" in event["details"]]


def deploy_hostile(stack: Stack, bench: Bench, name: str, *, label: str) -> None:
    """Deploy an artefact, see what the command says, and put right what it broke of others."""
    make, said = CASES[name]
    before = {path: path.read_bytes() for path in (bench.root / "blobs").rglob("*") if path.is_file()}
    digest = make(bench)
    record(stack, model(label, digest))
    done = stack.cli("deploy", "loans", label, "--deployment", "production", expect=1)
    (line,) = done.stderr.strip().splitlines()[-1:]
    assert line.startswith("lexstream: rejected: "), done.stderr
    assert re.search(said, line), (name, line)
    for path, data in before.items():
        path.unlink(missing_ok=True)
        path.write_bytes(data)
