"""What is committed, asked of a real Kafka; and the errors that one hardly gives on demand."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, for_code

from agents.offsets import UnstableOffsets, fetch_offsets, guard_offsets
from tests.broker import create_topics


class Answer:
    def __init__(self, *, error_code: int = 0, partitions: list[tuple[int, int, int]] | None = None) -> None:
        states = [(partition, offset, -1, "", error, None) for partition, offset, error in partitions or []]
        self.error_code = error_code
        self.topics = [("t", states, None)]


class Coordinator:
    """Answers once, as it was told to."""

    group_id = "g"

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.dead = 0

    async def _send_req(self, _: object) -> Any:
        return self.answer

    def coordinator_dead(self) -> None:
        self.dead += 1


@pytest.mark.parametrize(("code", "dead"), [(14, 0), (15, 1), (16, 1), (7, 0)])
async def test_an_error_for_all_partitions_is_not_taken_for_no_offset(code: int, dead: int) -> None:
    coordinator = Coordinator(Answer(error_code=code))
    with pytest.raises(for_code(code)) as raised:
        await fetch_offsets(coordinator, [TopicPartition("t", 0)])
    assert raised.value.retriable
    assert coordinator.dead == dead


async def test_an_offset_in_a_transaction_that_has_not_ended_is_asked_for_again() -> None:
    coordinator = Coordinator(Answer(partitions=[(0, 7, 0), (1, -1, 88)]))
    with pytest.raises(UnstableOffsets) as raised:
        await fetch_offsets(coordinator, [TopicPartition("t", 0), TopicPartition("t", 1)])
    assert raised.value.retriable


async def test_a_group_that_is_not_ours_is_not_asked_again() -> None:
    with pytest.raises(GroupAuthorizationFailedError) as raised:
        await fetch_offsets(Coordinator(Answer(error_code=30)), [TopicPartition("t", 0)])
    assert not raised.value.retriable


async def test_only_what_was_committed_has_an_offset() -> None:
    found = await fetch_offsets(Coordinator(Answer(partitions=[(0, 7, 0), (1, -1, 0)])), [])
    assert {tp: at.offset for tp, at in found.items()} == {TopicPartition("t", 0): 7}


@pytest.mark.broker
async def test_a_committed_offset_is_waited_for_until_its_transaction_ends(kafka: str, namespace: str) -> None:
    guard_offsets()
    create_topics(kafka, namespace, partitions=2)
    first, second = TopicPartition(namespace, 0), TopicPartition(namespace, 1)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=namespace, enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=namespace)
    async with consumer, producer:
        consumer.assign([first, second])
        assert await consumer.committed(first) is None
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({first: 5}, namespace)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.committed(first), 0.5)
        await producer.commit_transaction()
        assert await asyncio.wait_for(consumer.committed(first), 10) == 5
        assert await consumer.committed(second) is None
