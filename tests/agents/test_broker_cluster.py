"""A real cluster of three: what goes on when the node that led is killed, and what it says of itself."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import NotCoordinatorForGroupError

from agents.broker import LocalCluster
from agents.broker.address import free_ports, parse_address
from agents.broker.plan import Plan, write_plan
from agents.broker.wire import Cluster, PartitionState, ask_partitions
from agents.cli.context import Cli
from agents.cli.main import run
from agents.cli.up import children, knowing, local_nodes
from agents.offsets import fetch_offsets, guard_offsets
from agents.settings import Settings
from agents.topics import check_topics, create_topics, topic_warnings
from tests.broker import JARS

_PATIENCE_S = 60.0
_VALUES = [b"%d" % number for number in range(50)]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end


@pytest.fixture(scope="module")
def addresses() -> list[str]:
    return [f"127.0.0.1:{port}" for port in free_ports(3)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(addresses: list[str], home: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster(home, addresses, cache=JARS)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
        cluster.stop()


@pytest.fixture
def settings(cluster: LocalCluster, namespace: str) -> Settings:
    return Settings(brokers=cluster.status().address, namespace=namespace, group=namespace)


def seen_by(addresses: list[str]) -> Cluster:
    """What the first node says that answers."""
    return next(said for address in addresses if (said := ask_partitions(parse_address(address))))


def partitions_of(settings: Settings, addresses: list[str]) -> list[PartitionState]:
    found = seen_by(addresses).partitions
    return [state for place, state in found.items() if place[0] in all_topics(settings)]


async def known_everywhere(settings: Settings) -> None:
    """Return when nothing is wrong with the topics: a node may hear of new ones a moment after they were made."""
    async with asyncio.timeout(_PATIENCE_S):
        while await check_topics(settings):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def produce(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all", enable_idempotence=True) as producer:
        for value in _VALUES:
            await producer.send_and_wait(topic, value, partition=0)


async def consume(settings: Settings, topic: str, *, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=settings.brokers, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(_PATIENCE_S):
        return [(await consumer.getone()).value for _ in range(count)]


@pytest.mark.broker
@pytest.mark.slow
def test_writing_goes_on_when_the_node_that_led_is_killed_and_the_node_catches_up(
    cluster: LocalCluster, addresses: list[str], settings: Settings
) -> None:
    status, topic = cluster.status(), settings.topics.documents
    assert status.running
    assert status.address == ",".join(addresses)
    assert [node.address for node in status.nodes] == addresses
    assert len({node.pid for node in status.nodes}) == 3

    asyncio.run(create_topics(settings, partitions=2))
    asyncio.run(known_everywhere(settings))
    assert asyncio.run(topic_warnings(settings)) == []
    alone = settings.model_copy(update={"namespace": f"{settings.namespace}-alone"})
    asyncio.run(create_topics(alone, partitions=1, replication=1))
    asyncio.run(known_everywhere(alone))
    warnings = asyncio.run(topic_warnings(alone))
    assert {warning.split()[1] for warning in warnings} >= all_topics(alone)
    assert all("is kept by 1 of 3 brokers, expected 3" in warning for warning in warnings)
    assert {state.replicas for state in partitions_of(settings, addresses)} == {frozenset({1, 2, 3})}

    asyncio.run(produce(settings, topic))
    leader = seen_by(addresses).partitions[topic, 0].leader
    assert cluster.nodes[leader - 1].kill()
    assert not cluster.status().running
    assert not cluster.is_whole()
    asyncio.run(produce(settings, topic))
    others = [address for number, address in enumerate(addresses, start=1) if number != leader]
    state = seen_by(others).partitions[topic, 0]
    assert state.leader not in (leader, -1)
    assert leader not in state.in_sync
    later = settings.model_copy(update={"namespace": f"{settings.namespace}-later"})
    asyncio.run(create_topics(later, partitions=1, replication=len(addresses)))
    until(lambda: {state.replicas for state in partitions_of(later, others)} == {frozenset({1, 2, 3})})
    assert asyncio.run(consume(settings, topic, count=2 * len(_VALUES))) == _VALUES * 2

    assert cluster.start().running
    until(cluster.is_whole)
    until(lambda: seen_by(addresses).partitions[topic, 0].leader == leader)


@pytest.mark.broker
@pytest.mark.slow
async def test_a_node_that_does_not_coordinate_a_group_is_not_believed_that_nothing_was_committed(
    settings: Settings,
) -> None:
    guard_offsets()
    await create_topics(settings, partitions=1)
    place = TopicPartition(settings.topics.documents, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.brokers, group_id=settings.group, enable_auto_commit=False)
    async with consumer, asyncio.timeout(_PATIENCE_S):
        consumer.assign([place])
        await consumer.commit({place: 7})
        coordinator = consumer._coordinator
        for wrong in {1, 2, 3} - {coordinator.coordinator_id}:
            await coordinator.ensure_coordinator_known()
            coordinator.coordinator_id = wrong
            with pytest.raises(NotCoordinatorForGroupError):
                await fetch_offsets(coordinator, [place])
            await coordinator.ensure_coordinator_known()
            coordinator.coordinator_id = wrong
            assert await consumer.committed(place) == 7


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_up_tells_its_processes_all_nodes_and_keeps_what_it_makes_on_each(addresses: list[str], home: Path) -> None:
    cli = Cli({"home": home, "brokers": addresses[0]})
    assert local_nodes(cli) == addresses
    for each in children(knowing(cli, local_nodes(cli)), workers=1, trainers=1):
        assert each.argv[each.argv.index("--brokers") + 1] == ",".join(addresses)


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_up_takes_no_other_kafka_for_the_cluster_of_its_home(home: Path, tmp_path: Path) -> None:
    elsewhere = f"127.0.0.1:{free_ports(1)[0]}"
    for options in ({"home": home, "brokers": elsewhere}, {"home": home, "brokers": "192.0.2.1:9092"},
                    {"home": tmp_path, "brokers": elsewhere}):  # fmt: skip
        cli = Cli(options)
        assert local_nodes(cli) == []
        assert knowing(cli, []) is cli


def all_topics(settings: Settings) -> set[str]:
    topics = settings.topics
    return {topics.documents, topics.enriched, topics.dead_letters, topics.control, topics.registry, topics.jobs}


def test_a_home_with_a_cluster_shows_its_nodes_and_is_not_started_as_one_broker(
    tmp_path: Path, addresses: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEXSTREAM_HOME", str(tmp_path))
    monkeypatch.setenv("LEXSTREAM_BROKERS", ",".join(addresses))
    (tmp_path / "broker").mkdir()
    write_plan(tmp_path, Plan("L-id", free_ports(3)))
    assert run(["broker", "status", "--json"]) == 1
    status = json.loads(capsys.readouterr().out)
    assert [(node["address"], node["running"]) for node in status["nodes"]] == [(each, False) for each in addresses]
    assert run(["broker", "status"]) == 1
    assert f"no local broker runs in {tmp_path / 'broker'}" in " ".join(capsys.readouterr().err.split())
    assert run(["broker", "start", "--nodes", "1"]) != 0
    assert "holds the data of a cluster of 3, expected 1 node: start it with --nodes 3" in capsys.readouterr().err
    assert run(["broker", "start", "--nodes", "2"]) != 0
    assert "got --nodes 2, expected 1 or 3" in capsys.readouterr().err
