"""A broker that takes no results: the worker waits longer than a transaction may, says so, and goes on by itself."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from agents.broker import LocalCluster
from agents.broker.address import free_port, free_ports
from agents.hotloop.status import REFUSED, REFUSED_S, LoopStatus
from models.store import Store
from tests.acceptance.stack import Stack, body
from tests.agents.deployed import deployment
from tests.agents.echo import project
from tests.agents.test_worker_broker import record
from tests.broker import JARS
from tests.models.artefacts import make_manifest

N = 40


def test_only_what_takes_too_long_is_refused_and_only_while_it_is_ours() -> None:
    clock = [0.0]
    status = LoopStatus(clock=lambda: clock[0])
    status.observe(n_waiting=1, n_partitions=1, has_assignment=True)
    status.writes(("in", 0))
    clock[0] = REFUSED_S
    assert status.problems() == []
    clock[0] = 2 * REFUSED_S
    status.writes(("in", 0))  # again, after it was given up
    assert status.problems() == [f"{REFUSED} for {2 * REFUSED_S:.0f} s; trying again, nothing is lost"]
    status.keep([("in", 1)])
    assert status.problems() == []
    status.writes(("in", 1))
    clock[0] = 9 * REFUSED_S
    assert status.refused_s > REFUSED_S
    status.written(("in", 1))
    assert status.problems() == []


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    made = LocalCluster(tmp_path / "kafka", [f"127.0.0.1:{port}" for port in free_ports(3)], cache=JARS)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def wait_for(what: Callable[[], bool], *, stack: Stack) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, stack.logs()
        time.sleep(0.1)


def problems(port: int) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return list(json.load(answer)["problems"])
    except urllib.error.HTTPError as error:
        with error:
            return list(json.load(error)["problems"])
    except OSError:
        return ["does not listen"]


def require_replicas(brokers: str, topic: str, number: int) -> None:
    entry = ConfigEntry("min.insync.replicas", str(number), incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": brokers})
    for done in admin.incremental_alter_configs([asked]).values():
        done.result()


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_too_few_replicas_lose_nothing_and_double_nothing(cluster: LocalCluster, tmp_path: Path) -> None:
    brokers, port = ",".join(node.status().address for node in cluster.nodes), free_port()
    stack = Stack(brokers, "refused", tmp_path)
    try:
        stack.cli("topics", "create", "--partitions", "2")
        store = Store((tmp_path / "store").as_uri())
        good = store.save_manifest(make_manifest(store))
        found = [record(project()), record(deployment(good))]
        entries = [(partition, key, value, ()) for key, value, partition in found]
        stack.produce(stack.topic("registry"), entries)
        stack.start(
            "worker",
            LEXSTREAM_BACKEND="onnx-fp32",
            LEXSTREAM_METRICS_PORT=str(port),
            LEXSTREAM_DEFAULT_TASKS="loans/production",
            LEXSTREAM_TRANSACTION_TIMEOUT_S="5",
        )
        wait_for(lambda: problems(port) == [], stack=stack)
        require_replicas(brokers, stack.topic("enriched"), 3)
        cluster.nodes[2].kill()
        documents = [(i % 2, b"k", json.dumps({"id": f"d{i}", "text": "Ann"}).encode(), ()) for i in range(N)]
        stack.produce(stack.topic("documents"), documents)
        # Longer than the broker lets a transaction stand: it would have fenced who still waited for it.
        wait_for(lambda: any(" for 9 s" in problem for problem in problems(port)), stack=stack)
        require_replicas(brokers, stack.topic("enriched"), 2)
        outputs = stack.count(stack.topic("enriched"), n=N)
        assert sorted(body(each)["id"] for each in outputs) == sorted(f"d{i}" for i in range(N))
        wait_for(lambda: problems(port) == [], stack=stack)
        assert stack.processes[0].poll() is None
        log = (tmp_path / "worker-0.log").read_text()
        assert log.count(REFUSED) == 1
        assert log.count("Kafka takes results again") == 1
    finally:
        stack.stop()
