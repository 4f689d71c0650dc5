"""The worker as a process: how it starts, what it says, how it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from agents.broker.address import free_port
from agents.registry import encode_record
from agents.settings import Settings
from agents.topics import create_topics
from models.store import Store
from schemas.records import Record, record_key
from tests.agents.deployed import deployment
from tests.agents.echo import project
from tests.agents.test_hotloop_broker import event, publish, read
from tests.models.artefacts import make_manifest

pytestmark = pytest.mark.broker

PROGRAM = "import sys; from agents.cli.main import main; sys.argv = ['lexstream', 'worker']; main()"


def start(brokers: str, namespace: str, home: Path, **settings: object) -> "subprocess.Popen[str]":
    given = {
        "brokers": brokers,
        "namespace": namespace,
        "group": namespace,
        "home": home,
        "metrics_port": 0,
        **settings,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEXSTREAM_")}
    environment |= {f"LEXSTREAM_{name.upper()}": str(value) for name, value in given.items()}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[dict[str, Any]]]:
    _, log = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in log.splitlines()]


def ready(port: int) -> tuple[bool, list[str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            found = json.load(error)
    except OSError:
        return False, ["does not listen"]
    return found["ready"], found["problems"]


def wait_until_ready(port: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 60
    while not ready(port)[0]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, ready(port)
        time.sleep(0.05)


def test_a_worker_becomes_ready_and_ends_in_order(kafka: str, namespace: str, tmp_path: Path) -> None:
    asyncio.run(create_topics(Settings(brokers=kafka, namespace=namespace)))
    port = free_port()
    process = start(kafka, namespace, tmp_path, metrics_port=port)
    wait_until_ready(port, process)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert "lexstream_assigned_partitions 8.0" in answer.read().decode()
    maps = Path(f"/proc/{process.pid}/maps")
    assert not maps.exists() or "libtorch" not in maps.read_text(), "torch is only for those who serve it"
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, log = ended(process)
    assert code == 0
    assert time.monotonic() - started < 10
    assert log[-1]["message"] == "stopped"


def test_a_worker_loads_what_is_deployed_and_swaps_it(kafka: str, namespace: str, tmp_path: Path) -> None:
    settings = Settings(brokers=kafka, namespace=namespace, group=namespace, home=tmp_path)
    asyncio.run(create_topics(settings))
    store = Store(settings.store_url)
    old, new = (
        store.save_manifest(make_manifest(store, label=label, tuning_set=kept))
        for label, kept in (("v1", None), ("v2", store.put(b"whoever measures cannot read this, and says so")))
    )
    topics = settings.topics
    publish(settings, topics.registry, [record(project()), record(deployment(old, command="c1"))])
    process = start(kafka, namespace, tmp_path, default_tasks="loans/production")
    try:
        publish(settings, topics.documents, [(b"k", event(1), 0)])
        read(settings, topics.enriched, count=1)
        publish(settings, topics.registry, [record(deployment(new, command="c2", previous=old))])
        read(settings, topics.control_events, count=3)
        bad = deployment("sha256:" + "0" * 64, command="c3", previous=new)
        publish(settings, topics.registry, [record(bad)])
        read(settings, topics.control_events, count=4)
        publish(settings, topics.documents, [(b"k", event(2), 0)])
        answers = [json.loads(m.value() or b"") for m in read(settings, topics.enriched, count=2)]
        events = [json.loads(m.value() or b"") for m in read(settings, topics.control_events, count=5)]
    finally:
        process.terminate()
        code, log = ended(process)
    assert code == 0
    tuned = [line["message"] for line in log if line.get("action") == "tune"]
    assert tuned == ["v2 runs in a likely way: nothing was measured of it here"], "it measures beside the documents"
    assert [answer["results"][0]["model"]["digest"] for answer in answers] == [old, new]
    happened = [(e["event"], e["commandId"], e["details"].get("to")) for e in events]
    assert sorted(happened, key=str) == sorted(
        [
            ("progress", None, None),
            ("switched", None, old),
            ("succeeded", "c2", None),
            ("rejected", "c3", None),
            ("switched", None, new),
        ],
        key=str,
    )


def record(of: Record) -> tuple[bytes, bytes, int]:
    return record_key(of).encode(), encode_record(of), 0


def test_missing_topics_are_named(kafka: str, namespace: str, tmp_path: Path) -> None:
    code, log = ended(start(kafka, namespace, tmp_path))
    assert code == 2
    assert any(f"topic {namespace}.documents is missing" in line["message"] for line in log)


def test_a_taken_port_is_one_clear_line(kafka: str, namespace: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, log = ended(start(kafka, namespace, tmp_path, metrics_port=taken.getsockname()[1]))
    assert code == 2
    (line,) = log
    assert line["message"].startswith("metrics_port: cannot listen on 127.0.0.1:")


def test_without_a_broker_the_worker_waits_and_then_says_so(namespace: str, tmp_path: Path) -> None:
    code, log = ended(start(f"127.0.0.1:{free_port()}", namespace, tmp_path, broker_wait_s=1))
    assert code == 4
    assert any("waiting up to 1 s for Kafka" in line["message"] for line in log)
    assert "lexstream broker start" in log[-1]["message"]


def test_a_worker_that_still_waits_ends_at_once_when_told(namespace: str, tmp_path: Path) -> None:
    process = start(f"127.0.0.1:{free_port()}", namespace, tmp_path)
    assert process.stderr is not None
    while "waiting up to" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0
