"""Labels as the topic has them, beside somebody who writes some."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from agents.guards import guard_clients
from agents.labels import label_entry, read_label_ids, read_labels
from agents.settings import Settings
from schemas.errors import DecodeError, Unavailable
from schemas.labels import LabelledDocument
from tests.agents.control_kit import settings_of
from tests.broker import create_topics
from tests.hostile.raw_batches import Message, RawBatch, send_raw

pytestmark = pytest.mark.broker


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    settings = settings_of(kafka, namespace, tmp_path)
    create_topics(kafka, settings.topics.labels, partitions=2)
    return settings


@pytest.fixture
async def producers(settings: Settings) -> AsyncIterator[list[AIOKafkaProducer]]:
    """Two with transactions of their own."""
    names = [f"{settings.namespace}-{number}" for number in range(2)]
    made = [AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id=name) for name in names]
    async with made[0], made[1]:
        yield made


async def write(producer: AIOKafkaProducer, settings: Settings, document_id: str, *, partition: int = 0) -> None:
    document = LabelledDocument(project="loans", id=document_id, text="Ann", position=0, language="en")
    entry = label_entry(settings, document)
    await producer.send_and_wait(entry.topic, entry.value, key=entry.key, partition=partition)


async def test_what_was_committed_behind_an_open_transaction_is_waited_for(
    settings: Settings, producers: list[AIOKafkaProducer]
) -> None:
    left, producer = producers
    await left.begin_transaction()
    await write(left, settings, "half")
    async with producer.transaction():
        await write(producer, settings, "behind")
    reading = asyncio.create_task(read_label_ids(settings, "loans"))
    assert await asyncio.wait({reading}, timeout=1) == (set(), {reading})
    await left.abort_transaction()
    assert await reading == ["behind"]


async def test_of_an_import_that_is_being_written_all_is_read_or_nothing(
    settings: Settings, producers: list[AIOKafkaProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    importing, _ = producers
    asked, seen = asyncio.Event(), list[object]()
    ends_of, getmany = AIOKafkaConsumer.end_offsets, AIOKafkaConsumer.getmany

    async def end_offsets(self: AIOKafkaConsumer, partitions: Any) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await ends_of(self, partitions)
        asked.set()
        return found

    async def one_partition_first(self: AIOKafkaConsumer, **options: Any) -> dict[TopicPartition, list[Any]]:
        only = [] if seen else [TopicPartition(settings.topics.labels, 0)]
        found: dict[TopicPartition, list[Any]] = await getmany(self, *only, **options)
        seen.extend(found)
        return found

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", end_offsets)
    monkeypatch.setattr(AIOKafkaConsumer, "getmany", one_partition_first)
    await importing.begin_transaction()
    await write(importing, settings, "first", partition=0)
    reading = asyncio.create_task(read_label_ids(settings, "loans"))
    await asked.wait()
    await write(importing, settings, "second", partition=1)
    await importing.commit_transaction()
    assert await reading == ["first", "second"]


async def test_an_import_that_takes_too_long_is_no_kafka_that_is_away(
    settings: Settings, producers: list[AIOKafkaProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    importing, _ = producers
    monkeypatch.setattr("agents.labels.patience_of", lambda _settings: 0.3)
    await importing.begin_transaction()
    await write(importing, settings, "half")
    with pytest.raises(Unavailable, match="the labels cannot be read now: an import is being written"):
        await read_label_ids(settings, "loans")
    await importing.abort_transaction()


async def test_a_kafka_that_is_away_is_told_as_such(
    settings: Settings, producers: list[AIOKafkaProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    importing, _ = producers
    ends_of, asked = AIOKafkaConsumer.end_offsets, list[object]()

    async def end_offsets(self: AIOKafkaConsumer, partitions: Any) -> dict[TopicPartition, int]:
        asked.append(partitions)
        if len(asked) > 1:
            raise KafkaTimeoutError
        found: dict[TopicPartition, int] = await ends_of(self, partitions)
        return found

    monkeypatch.setattr("agents.labels.patience_of", lambda _settings: 0.3)
    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", end_offsets)
    await importing.begin_transaction()
    await write(importing, settings, "half")
    with pytest.raises(Unavailable, match="Kafka sent nothing"):
        await read_label_ids(settings, "loans")
    await importing.abort_transaction()


async def test_labels_that_may_lack_a_document_are_told_and_no_more_than_read(
    settings: Settings, producers: list[AIOKafkaProducer], caplog: pytest.LogCaptureFixture
) -> None:
    guard_clients(settings)
    async with producers[0].transaction():
        await write(producers[0], settings, "whole")
    broken = RawBatch([Message(b"{}", headers=[("HEADER", b"")])], replaced={b"HEADER": b"\xff\xfe\xfd\xfcAB"})
    await asyncio.to_thread(send_raw, settings.brokers, settings.topics.labels, [(1, broken)])
    labels = await read_labels(settings, "loans")
    assert [document.id for document in labels.documents] == ["whole"]
    with pytest.raises(DecodeError, match=r"labels/1 offset 0: the client cannot read it \(Unicode"):
        labels.require_all()
    assert await read_label_ids(settings, "loans") == ["whole"]
    assert caplog.text.count("the labels may lack a document") == 2
