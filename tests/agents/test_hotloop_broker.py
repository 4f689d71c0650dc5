"""The hot loop on a real Kafka, judged by confluent-kafka, which shares no code with it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import orjson
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from agents.hotloop.service import HotLoopThread
from agents.inference import CallThread
from agents.metrics import Metrics
from agents.settings import Settings
from tests.agents.echo import EchoEngine, FixedTables, served, table
from tests.broker import create_topics

pytestmark = pytest.mark.broker

PARTITIONS = 4


@pytest.fixture
def settings(kafka: str, namespace: str) -> Settings:
    settings = Settings(brokers=kafka, namespace=namespace, group=namespace, default_tasks=["loans/production"])
    topics = settings.topics
    spread = [topics.documents, topics.enriched, topics.requests, topics.replies, topics.dead_letters]
    create_topics(kafka, *spread, partitions=PARTITIONS, config={"max.message.bytes": "20971520"})
    create_topics(kafka, topics.control_events)
    return settings


@contextmanager
def running(settings: Settings, tables: FixedTables | None = None) -> Iterator[HotLoopThread]:
    failures: list[BaseException] = []
    inference = CallThread("inference")
    loop = HotLoopThread(
        settings,
        engine=EchoEngine(),
        inference=inference,
        tables=tables or FixedTables(table(served())),
        metrics=Metrics(),
        failed=failures.append,
    )
    asyncio.run(loop.start())
    try:
        yield loop
    finally:
        asyncio.run(loop.stop())
        inference.stop()
    assert failures == []


def publish(settings: Settings, topic: str, messages: Sequence[tuple[bytes | None, bytes | None, int]]) -> None:
    producer = Producer({"bootstrap.servers": settings.brokers, "message.max.bytes": 20_000_000})
    for key, value, partition in messages:
        producer.produce(topic, key=key, value=value, partition=partition, headers=[("traceparent", b"00-1")])
        producer.poll(0)
    assert producer.flush(30) == 0


def read(settings: Settings, *topics: str, count: int, timeout_s: float = 30) -> list[Message]:
    """Read ``count`` messages, and then make sure that no more come."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": f"{settings.group}-reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    places = [
        TopicPartition(topic, partition, 0)
        for topic in topics
        for partition in consumer.list_topics(topic).topics[topic].partitions
    ]
    consumer.assign(places)
    found: list[Message] = []
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None:
            assert message.error() is None
            found.append(message)
        elif len(found) >= count:
            break
    consumer.close()
    return found


def event(number: int, **fields: object) -> bytes:
    return orjson.dumps({"id": f"d{number}", "text": f"Änderung {number} of the loan", **fields})


def by_partition(messages: list[Message], what: Callable[[Message], object]) -> dict[int, list[object]]:
    found: dict[int, list[object]] = {}
    for message in messages:
        found.setdefault(message.partition() or 0, []).append(what(message))
    return found


def test_every_event_gives_one_output_in_order(settings: Settings) -> None:
    sent = [(b"k%d" % n, event(n), n % PARTITIONS) for n in range(400)]
    publish(settings, settings.topics.documents, sent)
    with running(settings):
        found = read(settings, settings.topics.enriched, settings.topics.dead_letters, count=400)
    assert len(found) == 400
    expected = {p: [b"k%d" % n for n in range(400) if n % PARTITIONS == p] for p in range(PARTITIONS)}
    assert by_partition(found, lambda message: message.key()) == expected
