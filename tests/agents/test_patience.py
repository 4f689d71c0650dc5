"""A Kafka that goes away while it is read, or before a replay has its transactions: waited for, but not without end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from agents.client import Client
from agents.letters import _batches
from agents.patience import LEAST_S, Remaining, patience_of
from agents.replay import _producer
from agents.settings import Settings
from schemas.errors import Unavailable
from tests.agents.dead_letter_kit import TOPIC, letter
from tests.agents.fakes import FakeProducer

TP = TopicPartition(TOPIC, 0)
SETTINGS = Settings(namespace="n", brokers="b:1", group="g", broker_wait_s=0)
SHORT_S = 0.01


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.patience.LEAST_S", SHORT_S)


class Leaving:
    """A consumer whose Kafka goes away after one record."""

    def __init__(self) -> None:
        self.at = 0

    def assign(self, _partitions: list[TopicPartition]) -> None: ...
    def seek(self, _partition: TopicPartition, _offset: int) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 1000)

    async def position(self, _partition: TopicPartition) -> int:
        return self.at

    async def getmany(self, **_: object) -> dict[TopicPartition, list[ConsumerRecord]]:
        await asyncio.sleep(0)
        if self.at:
            return {}
        self.at = 1
        return {TP: [letter(0).record]}


async def test_what_moves_has_time_again_and_what_does_not_ends() -> None:
    consumer, now = Leaving(), [0.0]
    remaining = Remaining(consumer, {TP: 10}, patience_s=5, clock=lambda: now[0])
    for consumer.at in range(5):
        assert await remaining.count() == 10 - consumer.at
        now[0] += 5
        assert await remaining.count() == 10 - consumer.at
        now[0] += 3
    with pytest.raises(Unavailable, match="sent nothing for 5 s and 6 offsets are left"):
        await remaining.count()
    consumer.at = 12
    assert await remaining.count() == 0


async def test_a_position_that_is_never_known_is_not_waited_for_without_end() -> None:
    class Nowhere(Leaving):
        async def position(self, _partition: TopicPartition) -> int:
            await asyncio.Event().wait()
            return 0

    with pytest.raises(Unavailable, match="not known where to read"):
        await Remaining(Nowhere(), {TP: 10}, patience_s=SHORT_S).count()


def test_who_asks_for_quick_answers_at_the_start_is_patient_all_the_same_with_a_kafka_that_had_answered() -> None:
    assert patience_of(SETTINGS) == LEAST_S
    assert patience_of(SETTINGS.model_copy(update={"broker_wait_s": 600.0})) == 600


async def test_a_pass_over_letters_ends_when_kafka_goes_away() -> None:
    passed: list[int] = []
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="999 offsets are left"):
            async for batch in _batches(Leaving(), {TP: (0, 1000)}, patience_s=SHORT_S, advanced=lambda _d, _t: None):
                passed += [each.record.offset for each in batch]
    assert passed == [0]


@pytest.mark.usefixtures("impatient")
async def test_a_snapshot_ends_when_kafka_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def reader(*_: object, **__: object) -> AsyncIterator[Leaving]:
        yield Leaving()

    monkeypatch.setattr(Client, "_reader", reader)
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="999 offsets are left"):
            assert [record.offset async for record in Client(SETTINGS).snapshot([TOPIC])] == [0]


class Asking(FakeProducer):
    """Finds no node that coordinates its transactions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def start(self) -> None:
        self._step("start")
        self.asked.set()
        await asyncio.Event().wait()


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    producer = Asking()
    monkeypatch.setattr("agents.replay.AIOKafkaProducer", lambda **_: producer)
    return producer


@pytest.mark.usefixtures("impatient")
async def test_transactions_that_nobody_gives_are_not_waited_for_without_end(asking: Asking) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="no transactions for 0 s, so it sent nothing"):
            async with _producer(SETTINGS):
                pass
    assert asking.steps == ["start", "stop"]


async def test_a_replay_that_is_told_to_stop_while_it_waits_for_transactions_closes_its_producer(
    asking: Asking,
) -> None:
    starting = asyncio.create_task(_producer(SETTINGS).__aenter__())
    await asking.asked.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert asking.steps == ["start", "stop"]
