"""Documents in, enriched events out: 2,000 mixed ones, kills, a swap in the flow, a model that does not load."""

import json
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from agents.broker import LocalBroker
from tests.acceptance.stack import LEXSTREAM, PROCESS_S, Headers, Stack, body, headers, source
from tests.broker import local_broker

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(600)]
PARTITIONS = 4
DATA = Path(__file__).parents[2] / "agents" / "demo" / "data"
Record = tuple[int | None, bytes | None, bytes | None, Headers]


def texts(project: str) -> list[str]:
    """Return the unlabelled documents that come with the demo."""
    lines = (DATA / project / "stream.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker of our own, to be killed."""
    broker = local_broker(tmp_path_factory.mktemp("mortal"))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def stack(mortal: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A worker, a trainer, and two deployed models: ``leases/production`` and ``tickets/production``."""
    made = Stack(mortal.status().address, "acceptance", tmp_path_factory.mktemp("stack"))
    try:
        made.cli("topics", "create", "--partitions", str(PARTITIONS))
        made.start("trainer")
        made.start("worker", LEXSTREAM_GROUP_INSTANCE_ID="one")
        for project in ("leases", "tickets"):
            kind = "CustomEntityRecognition" if project == "leases" else "CustomSingleLabelClassification"
            made.cli("project", "create", project, "--kind", kind, "--language", "en")
            made.cli("labels", "import", project, str(DATA / project / "labels.json"),
                     "--documents", str(DATA / project / "documents"))  # fmt: skip
            made.cli("train", project, "--model", "v1", "--wait")
            made.cli("deploy", project, "v1", "--deployment", "production")
        yield made
    except AssertionError:
        print(made.logs())
        raise
    finally:
        made.stop()


def document(number: int, **more: object) -> bytes:
    """Return a good event; its tasks alternate."""
    project = "leases" if number % 2 else "tickets"
    choices = texts(project)
    event = {
        "id": f"d{number}",
        "text": choices[number % len(choices)],
        "tasks": [{"project": project, "deployment": "production"}],
        "metadata": {"number": number},
    }
    return json.dumps(event | more).encode()


BAD = {
    "null": None,
    "empty": b"",
    "no JSON": b"{",
    "unknown schema": b"\x00\x00\x00\xff\xff\x00",
    "no id": b'{"text": "a"}',
    "wrong type": b'{"id": 5, "text": ["a"]}',
    "lone surrogate": b'{"id": "s", "text": "a \\ud800 b"}',
    "no text": b'{"id": "e", "text": ""}',
    "unknown project": b'{"id": "u", "text": "a", "tasks": [{"project": "nobody", "deployment": "x"}]}',
    "unknown deployment": b'{"id": "v", "text": "a", "tasks": [{"project": "leases", "deployment": "x"}]}',
}
STAGE = {"null": "decode", "empty": "decode", "no JSON": "decode", "unknown schema": "decode", "no id": "validate",
         "wrong type": "validate", "no text": "validate", "unknown project": "model",
         "unknown deployment": "model"}  # fmt: skip


def mixed(n: int, *, seed: int) -> list[Record]:
    """Return ``n`` events, one in ten bad, spread over the partitions."""
    chance = random.Random(seed)
    bad = list(BAD.items())
    records: list[Record] = []
    for number in range(n):
        name, value = chance.choice(bad) if chance.random() < 0.1 else ("good", document(number))
        trace = [("traceparent", f"00-{number:032x}-01".encode()), ("case", name.encode())]
        records.append((number % PARTITIONS, f"key-{number}".encode(), value, trace))
    return records


def check_one_answer_each(outputs: list[Message], sent: list[Record]) -> None:
    """Each event gave one output, with its key and headers, in the order of its partition."""
    assert len(outputs) == len(sent)
    by_key = {message.key(): message for message in outputs}
    assert len(by_key) == len(sent)
    for partition, key, value, trace in sent:
        message = by_key[key]
        assert message.partition() == partition
        found = headers(message)
        assert [found[name] for name, _ in trace] == [value.decode() for _, value in trace]
        if "__connect.errors.stage" in found:
            assert message.value() == value or (not message.value() and not value)
    for topic in {message.topic() for message in outputs}:
        places = defaultdict(list)
        for message in outputs:
            if message.topic() == topic:
                places[message.partition()].append((message.offset(), source(message)[2]))
        for offsets in places.values():
            inputs = [offset for _, offset in sorted(offsets)]
            assert inputs == sorted(inputs)


def check_entities(enriched: list[Message]) -> None:
    """Every entity is its slice of the text."""
    n_entities = 0
    for message in enriched:
        found = body(message)
        assert found["stringIndexType"] == "UnicodeCodePoint"
        for result in found["results"]:
            for entity in result.get("entities", []):
                n_entities += 1
                assert found["text"][entity["offset"] : entity["offset"] + entity["length"]] == entity["text"]
                assert 0 <= entity["confidenceScore"] <= 1
            for score in result.get("classes", []):
                assert 0 <= score["confidenceScore"] <= 1
    assert n_entities


def lane(stack: Stack, name: str) -> tuple[str, str]:
    """Make a lane of its own, so that each test counts only its own events."""
    source_topic, target = f"{stack.namespace}-{name}", f"{stack.namespace}-{name}-enriched"
    stack.cli("topics", "create", "--partitions", str(PARTITIONS), "--lane", f"{source_topic}:{target}")
    return source_topic, target


def of(messages: list[Message], topic: str) -> list[Message]:
    """Return the outputs whose input event stood in ``topic``."""
    return [message for message in messages if source(message)[0] == topic]


def test_2000_mixed_documents_each_give_one_answer(stack: Stack) -> None:
    sent = mixed(2000, seed=1)
    documents, enriched_topic = stack.topic("documents"), stack.topic("enriched")
    stack.produce(documents, sent)
    outputs = stack.read(
        enriched_topic,
        stack.topic("dead-letters"),
        until=lambda found: len(of(found, documents)) >= len(sent),
        timeout_s=240,
    )
    outputs = of(outputs, documents)
    check_one_answer_each(outputs, sent)
    dead = [message for message in outputs if message.topic() != enriched_topic]
    for message in dead:
        found = headers(message)
        case = found["case"]
        assert case in BAD
        assert found["__connect.errors.stage"] == STAGE.get(case, found["__connect.errors.stage"])
        assert found["__connect.errors.exception.message"]
    good = [message for message in outputs if message.topic() == enriched_topic]
    assert Counter(headers(message)["case"] for message in good) == {"good": len(sent) - len(dead)}
    check_entities(good)


def test_nothing_is_lost_or_doubled_when_worker_and_broker_are_killed(stack: Stack, mortal: LocalBroker) -> None:
    documents, target = lane(stack, "murder")
    options = ["worker", "--lane", f"{documents}:{target}"]
    group = f"{stack.namespace}-murder"
    worker = stack.start(*options, LEXSTREAM_GROUP=group, LEXSTREAM_GROUP_INSTANCE_ID="murdered")
    sent = mixed(3000, seed=2)
    stack.produce(documents, sent)
    for seen in (200, 700, 1300):
        stack.read(target, until=lambda found, seen=seen: len(found) >= seen, timeout_s=PROCESS_S + 60)  # type: ignore[misc]
        worker.kill()
        worker.wait(20)
        if seen == 700:
            mortal.kill()
            mortal.start()
        worker = stack.start(*options, LEXSTREAM_GROUP=group, LEXSTREAM_GROUP_INSTANCE_ID="murdered")
    outputs = stack.read(
        target,
        stack.topic("dead-letters"),
        until=lambda found: len(of(found, documents)) >= len(sent),
        timeout_s=300,
    )
    check_one_answer_each(of(outputs, documents), sent)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_the_switched_events_tell_which_model_read_which_document(stack: Stack) -> None:
    documents, target = stack.topic("requests"), stack.topic("replies")
    stack.cli("train", "tickets", "--model", "v2", "--method", "frozen", "--split", "70", "--wait")
    stack.cli("deploy", "tickets", "v2", "--deployment", "staging")
    before = len(stack.count(target, n=0))
    tickets: list[Record] = [
        (number % PARTITIONS, b"swap-%d" % number, document(2 * number), [("case", b"swap")]) for number in range(1200)
    ]
    stack.produce(documents, tickets[:600])
    stack.cli("swap", "tickets", "production", "staging")
    stack.produce(documents, tickets[600:])
    outputs = stack.count(target, n=before + len(tickets), timeout_s=240)
    switched = [
        event["details"]
        for event in stack.events(until=bool)
        if event["event"] == "switched" and event["project"] == "tickets"
    ]
    served: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for switch in switched:
        if switch["topic"] == documents and switch["deployment"] == "production":
            served[switch["partition"]].append((switch["offset"], switch["to"]))
    digests = set()
    for message in outputs:
        _, partition, offset = source(message)
        answered = [result["model"]["digest"] for result in body(message)["results"] if result["project"] == "tickets"]
        expected = [to for first, to in sorted(served[partition]) if first <= offset][-1]
        assert answered == [expected]
        digests.add(expected)
    assert len(digests) == 2


def test_a_model_that_does_not_load_is_refused_and_the_old_one_serves_on(stack: Stack) -> None:
    stack.cli("train", "tickets", "--model", "broken", "--method", "frozen", "--seed", "7", "--wait")
    models = json.loads(stack.cli("models", "list", "tickets", "--json").stdout)
    digest = next(model["digest"] for model in models if model["label"] == "broken")
    manifest = stack.folder / "store" / "models" / "sha256" / digest.removeprefix("sha256:") / "manifest.json"
    head = json.loads(manifest.read_text())["head"].removeprefix("sha256:")
    blob = stack.folder / "store" / "blobs" / "sha256" / head
    blob.write_bytes(blob.read_bytes()[:-7])
    refused = stack.cli("deploy", "tickets", "broken", "--deployment", "production", expect=1)
    assert "sha256" in refused.stderr or "damaged" in refused.stderr
    answer = stack.folder / "ticket.txt"
    answer.write_text(texts("tickets")[0])
    served = json.loads(stack.cli("analyze", "tickets/production", str(answer), "--json").stdout)
    assert served["results"][0]["model"]["label"] != "broken"
    assert served["results"][0]["classes"]
    stack.cli("rollback", "tickets", "production")


def test_a_killed_trainer_is_taken_over_and_there_is_one_model(stack: Stack) -> None:
    started = subprocess.Popen(
        [LEXSTREAM, "train", "leases", "--model", "resumed", "--wait"],
        env=stack.environment(),
        cwd=stack.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def training(found: list[dict[str, Any]]) -> bool:
        return any(e["event"] == "progress" and e["details"].get("fraction", 0) > 0.1
                   and e["details"].get("stage") == "training" and e["at"] > begun for e in found)  # fmt: skip

    begun = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    stack.events(until=training, timeout_s=120)
    trainer = next(process for process in stack.processes if process.args[1] == "trainer")  # type: ignore[index]
    trainer.kill()
    trainer.wait(20)
    stack.start("trainer")
    assert started.wait(240) == 0
    done = [e for e in stack.events(until=bool)
            if e["event"] == "succeeded" and e["details"].get("model", {}).get("label") == "resumed"]  # fmt: skip
    assert len(done) == 1


def test_a_bad_command_and_a_bad_labels_file_are_rejected_with_all_that_is_wrong(stack: Stack, tmp_path: Path) -> None:
    command = {"id": "bad-1", "command": "train", "project": "nobody", "parameters": {"trainingSplitPercentage": 400}}
    stack.produce(stack.topic("control"), [(None, b"nobody", json.dumps(command).encode(), [])])
    events = stack.events(until=lambda found: any(e.get("commandId") == "bad-1" for e in found))
    problems = [e["details"]["problems"] for e in events if e.get("commandId") == "bad-1"]
    assert len(problems) == 1
    assert any("modelLabel" in problem for problem in problems[0])
    assert any("trainingSplitPercentage" in problem for problem in problems[0])

    labels = json.loads((DATA / "leases" / "labels.json").read_text(encoding="utf-8"))
    first, second = labels["assets"]["documents"][:2]
    first["entities"][0]["labels"][0]["offset"] = 10**6
    second["entities"][0]["labels"][0]["category"] = "Nonsense"
    labels["assets"]["documents"].append(first | {"location": "missing.txt"})
    bad = tmp_path / "labels.json"
    bad.write_text(json.dumps(labels), encoding="utf-8")
    refused = stack.cli("labels", "import", "leases", str(bad), "--documents", str(DATA / "leases" / "documents"),
                        expect=1)  # fmt: skip
    for word in (first["location"], "Nonsense", "missing.txt"):
        assert word in refused.stderr


def test_ctrl_c_and_sigterm_end_a_worker_quickly_and_cleanly(stack: Stack) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        worker = stack.start("worker", LEXSTREAM_GROUP=f"{stack.namespace}-signals")
        stack.cli("topics", "check")
        log = stack.folder / f"worker-{len(stack.processes) - 1}.log"
        end = time.monotonic() + PROCESS_S
        while "ready" not in log.read_text() and time.monotonic() < end:
            assert worker.poll() is None, log.read_text()
        worker.send_signal(number)
        assert worker.wait(15) == 0
