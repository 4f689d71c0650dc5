import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import NodeNotReadyError

from agents.app import create_app
from agents.lookups import _look_up, guard_lookups
from agents.settings import Settings


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.broker
@pytest.mark.usefixtures("unguarded")
async def test_a_transactional_producer_starts_as_soon_as_a_broker_is_named(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard_lookups()
    asked = 0
    brokers = ClusterMetadata.brokers

    def named_at_last(metadata: ClusterMetadata) -> Any:
        nonlocal asked
        asked += 1
        return brokers(metadata) if asked > 5 else set()

    monkeypatch.setattr(ClusterMetadata, "brokers", named_at_last)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="lookups")
    async with asyncio.timeout(20):
        await producer.start()
        await producer.stop()
    assert asked > 5
