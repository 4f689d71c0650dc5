import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import NodeNotReadyError

from agents.app import create_app
from agents.lookups import _bootstrap, _look_up, guard_lookups, look_up_coordinator
from agents.settings import Settings
from agents.topic_admin import TopicAdmin


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaClient, "bootstrap", _bootstrap)
    monkeypatch.setattr(AIOKafkaClient, "coordinator_lookup", _look_up)


@pytest.mark.usefixtures("unguarded")
async def test_a_kafka_that_names_no_brokers_is_not_ready_and_no_mistake_of_ours() -> None:
    client = AIOKafkaClient(bootstrap_servers="nowhere:1")
    with pytest.raises(AssertionError):
        await client.coordinator_lookup(CoordinationType.GROUP, "group")
    guard_lookups()
    with pytest.raises(NodeNotReadyError, match="names no brokers"):
        await client.coordinator_lookup(CoordinationType.GROUP, "group")


@pytest.mark.usefixtures("unguarded")
async def test_every_app_is_guarded(tmp_path: Any) -> None:
    before = AIOKafkaClient.coordinator_lookup
    create_app(Settings(home=tmp_path), role="worker")
    assert AIOKafkaClient.coordinator_lookup is not before


@pytest.fixture
def named_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Kafka name no brokers the first few times that somebody looks."""
    asked = iter(range(100))
    brokers = ClusterMetadata.brokers
    monkeypatch.setattr(
        ClusterMetadata, "brokers", lambda metadata: brokers(metadata) if next(asked, 100) > 5 else set()
    )


@pytest.mark.broker
@pytest.mark.usefixtures("unguarded", "named_late")
async def test_a_transactional_producer_starts_as_soon_as_a_broker_is_named(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AIOKafkaClient, "coordinator_lookup", look_up_coordinator)
    async with asyncio.timeout(20), AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="lookups"):
        pass


@pytest.mark.broker
@pytest.mark.usefixtures("unguarded", "named_late")
@pytest.mark.parametrize("guarded", [False, True])
async def test_who_asks_for_topics_waits_for_a_broker_that_is_named(kafka: str, *, guarded: bool) -> None:
    if guarded:
        guard_lookups()
    async with asyncio.timeout(20), TopicAdmin(Settings(brokers=kafka)) as admin:
        with nullcontext() if guarded else pytest.raises(NodeNotReadyError):
            assert await admin.n_brokers() == 1
