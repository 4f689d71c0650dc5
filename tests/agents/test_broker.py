"""The local broker as a whole: a real Kafka that is started, killed, found again and stopped."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer

from agents.broker import LocalBroker, Progress, keep_running
from agents.broker.address import free_port
from agents.broker.process import recall, remember
from schemas.errors import Unavailable
from tests.broker import JARS, create_topics, local_broker

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    broker = local_broker(tmp_path)
    yield broker
    broker.stop()


def produce(brokers: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def consume(brokers: str, topic: str, *, n: int) -> list[bytes]:
    options = {"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(options)
    consumer.subscribe([topic])
    values = [message.value() for message in consumer.consume(n, timeout=20)]
    consumer.close()
    return [value for value in values if value is not None]


def test_a_broker_is_formatted_once_then_started_and_stopped(broker: LocalBroker) -> None:
    stages: list[Progress] = []
    assert not broker.status().running

    started = broker.start(stages.append)
    assert started.running
    assert started.version == "4.1.0"
    assert broker.status() == started
    assert [step.stage for step in stages if step.stage != "download"] == ["format", "start"]

    assert broker.stop()
    assert not broker.stop()
    assert not broker.status().running
    assert started.pid is not None
    assert not psutil.pid_exists(started.pid)


def test_data_survives_a_kill_and_the_broker_starts_again(broker: LocalBroker) -> None:
    address = broker.start().address
    create_topics(address, "kept", partitions=1)
    values = [b"%d" % i for i in range(100)]
    produce(address, "kept", values)

    assert broker.kill()
    assert not broker.status().running
    stages: list[Progress] = []
    again = broker.start(stages.append)

    assert again.address == address
    assert [step.stage for step in stages] == ["start"]
    assert consume(address, "kept", n=100) == values


def test_starting_twice_at_once_gives_one_broker(tmp_path: Path) -> None:
    port = free_port()
    brokers = [local_broker(tmp_path, port=port) for _ in range(2)]
    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda broker: broker.start(), brokers)
        assert first == second
        with pytest.raises(Unavailable, match=r"runs at .* already: stop it first"):
            local_broker(tmp_path).start()
    finally:
        assert brokers[0].stop()
    assert not brokers[1].status().running


def test_a_broker_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys; from pathlib import Path; from agents.broker import LocalBroker;"
        f"LocalBroker(Path({str(tmp_path)!r}), 'localhost:{port}', cache=Path({str(JARS)!r})).start();"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=120)
    broker = local_broker(tmp_path, port=port)
    try:
        assert broker.status().running
    finally:
        assert broker.stop()


def test_a_taken_port_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} of 127.0.0.1 is taken by another program"):
            local_broker(tmp_path, port=port).start()


def test_data_that_kafka_refuses_is_told_with_its_log(broker: LocalBroker) -> None:
    broker.start()
    broker.stop()
    meta = broker.status().data / "meta.properties"
    meta.write_text(meta.read_text(encoding="utf-8").replace("version=1", "version=77"), encoding="utf-8")
    with pytest.raises(Unavailable, match=r"Kafka ended while it started: .*version"):
        broker.start()
    assert not broker.status().running


def test_a_stale_record_never_leads_to_the_wrong_process(broker: LocalBroker, tmp_path: Path) -> None:
    broker.start()
    path = tmp_path / "broker" / "broker.json"
    record = recall(path)
    assert record
    broker.kill()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        remember(type(record)(**(vars(record) | {"pid": bystander.pid})), path=path)
        assert not broker.status().running
        assert not broker.kill()
        assert not broker.stop()
        assert bystander.poll() is None
        bystander.communicate(b"\n")


async def test_a_broker_that_dies_is_started_again(broker: LocalBroker) -> None:
    first = await asyncio.to_thread(broker.start)
    await asyncio.to_thread(broker.kill)
    keeper = asyncio.create_task(keep_running(broker, every_s=0.05))
    async with asyncio.timeout(60):
        while not (second := await asyncio.to_thread(broker.status)).running:
            pass
        await asyncio.to_thread(broker.start)  # the keeper holds the lock until the broker answers
    keeper.cancel()
    assert second.pid != first.pid


def test_a_message_of_eight_megabytes_passes(kafka: str, namespace: str) -> None:
    create_topics(kafka, namespace)
    big = b"x" * (8 * 1024 * 1024)
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 9_000_000})
    producer.produce(namespace, big)
    assert producer.flush(20) == 0
    assert consume(kafka, namespace, n=1) == [big]
