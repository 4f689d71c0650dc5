"""Reading ahead, and partitions that come and go."""

import asyncio
from functools import partial

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents.hotloop.decode import Decoder
from agents.hotloop.ownership import Ownership
from agents.hotloop.partitions import Partition, Partitions
from agents.hotloop.reader import Reader, decode_here
from agents.hotloop.status import STALLED_S, LoopStatus
from agents.hotloop.transactions import Turns
from agents.hotloop.window import Bounds
from agents.lanes import Lane, Priority
from agents.metrics import Metrics
from schemas.codecs.codec import DocumentCodec
from schemas.errors import DecodeError, OversizedEvent, Unavailable
from tests.agents.factories import FakeRecord, item
from tests.agents.fakes import FakeConsumer, FakeProducer

TP, OTHER = TopicPartition("n.documents", 2), TopicPartition("n.documents", 3)
LANE = Lane("n.documents", "n.enriched")
DECODER = Decoder(DocumentCodec(), max_bytes=1000)


class Stage:
    """Everything around a reader."""

    def __init__(self, *polls: dict[TopicPartition, list[FakeRecord]] | KafkaError) -> None:
        self.consumer = FakeConsumer(list(polls))
        self.consumer.assigned = {TP, OTHER}
        self.partitions = Partitions()
        self.metrics = Metrics()
        self.producers: list[FakeProducer] = []
        self.crashes: list[BaseException] = []
        self.start_errors: list[BaseException] = []
        self.ownership = Ownership(
            self.partitions,
            lanes={"n.documents": LANE},
            new_producers=self.new_producers,
            crash=self.crashes.append,
            metrics=self.metrics,
        )
        self.ownership.consumer = self.consumer

    def new_producers(self, _tp: TopicPartition) -> Turns:
        errors = {"start": self.start_errors.pop()} if self.start_errors else {}
        made = [FakeProducer(errors), FakeProducer()]
        self.producers += made
        return Turns(made)

    def own(self, tp: TopicPartition, committed: int = 40) -> Partition:
        partition = Partition(tp, LANE, self.new_producers(tp), self.partitions.next_epoch(), committed, committed)
        self.partitions.add(partition)
        return partition

    def reader(self, buffer_bytes: int = 10_000, decoder: Decoder = DECODER) -> Reader:
        return Reader(
            self.consumer,
            self.partitions,
            ownership=self.ownership,
            decode=partial(decode_here, decoder),
            buffer_bytes=buffer_bytes,
            metrics=self.metrics,
        )

    async def read(self, buffer_bytes: int = 10_000, decoder: Decoder = DECODER) -> asyncio.Event:
        arrived = asyncio.Event()
        reader = self.reader(buffer_bytes, decoder)
        reader.on_arrival(arrived.set)
        task = asyncio.create_task(reader.run())
        await self.consumer.empty.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return arrived

    async def acquired(self, *tps: TopicPartition) -> None:
        await asyncio.gather(*(self.ownership._acquiring[tp] for tp in tps))

    @property
    def n_stale(self) -> float:
        return float(self.metrics.stale._value.get())


def offsets(partition: Partition) -> list[int]:
    return [waiting.record.offset for waiting in partition.queue]


async def test_records_wait_in_the_order_of_their_offsets() -> None:
    stage = Stage({TP: [FakeRecord(offset=40), FakeRecord(offset=41)]}, {TP: [FakeRecord(offset=42)]})
    partition = stage.own(TP)
    assert (await stage.read()).is_set()
    assert offsets(partition) == [40, 41, 42]


async def test_between_polls_the_processor_is_left_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.hotloop.reader.REST_S", 3600)
    stage = Stage({TP: [FakeRecord(offset=40)]}, {TP: [FakeRecord(offset=41)]})
    partition, reader, arrived = stage.own(TP), stage.reader(), asyncio.Event()
    reader.on_arrival(arrived.set)
    reader.rest_while(arrived.is_set)
    reading = asyncio.create_task(reader.run())
    await arrived.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    reading.cancel()
    assert offsets(partition) == [40]


async def test_after_a_poll_that_failed_every_partition_is_read_on_from_what_was_queued() -> None:
    stage = Stage({TP: [FakeRecord(offset=40), FakeRecord(offset=41)]}, KafkaError("another partition is corrupt"))
    first, second = stage.own(TP), stage.own(OTHER, committed=7)
    await stage.read()
    assert stage.consumer.seeks == [(TP, 42), (OTHER, 7)]
    assert (offsets(first), offsets(second)) == ([40, 41], [])


async def test_records_of_a_poll_that_spans_a_rebalance_are_read_again() -> None:
    stage = Stage({TP: [FakeRecord(offset=50)]})
    stage.consumer.during_poll = lambda: len(stage.partitions) or stage.own(TP, committed=40)
    await stage.read()
    (partition,) = stage.partitions
    assert offsets(partition) == []
    assert stage.consumer.seeks == [(TP, 40)]
    assert stage.n_stale == 1


async def test_records_of_a_partition_that_is_not_ours_yet_are_dropped() -> None:
    stage = Stage({TP: [FakeRecord()]})
    assert not (await stage.read()).is_set()
    assert stage.n_stale == 1


async def test_a_partition_that_holds_enough_is_paused_and_others_are_not() -> None:
    stage = Stage({TP: [FakeRecord(offset=n) for n in range(10)], OTHER: [FakeRecord(partition=3)]}, {})
    partition = stage.own(TP)
    stage.own(OTHER)
    await stage.read(buffer_bytes=500)
    assert stage.consumer.paused == {TP}
    partition.take(10)
    stage.consumer.polls, stage.consumer.empty = [{}], asyncio.Event()
    await stage.read(buffer_bytes=500)
    assert stage.consumer.paused == set()


async def test_what_is_wrong_with_an_event_is_an_outcome() -> None:
    stage = Stage({TP: [FakeRecord(value=b"{"), FakeRecord(value=None), FakeRecord(value=b"x" * 1001), FakeRecord()]})
    partition = stage.own(TP)
    await stage.read()
    kinds = [type(waiting.content) for waiting in partition.queue]
    assert kinds[:3] == [DecodeError, DecodeError, OversizedEvent]
    assert [waiting.arrival for waiting in partition.queue] == sorted(waiting.arrival for waiting in partition.queue)


class _Flaky:
    def __init__(self) -> None:
        self.calls = 0

    def decode(self, value: bytes | None) -> object:
        self.calls += 1
        if self.calls == 1:
            raise Unavailable("registry away")
        return DocumentCodec().decode(value)


async def test_a_schema_registry_that_is_away_holds_the_events_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.hotloop.reader._RETRY_S", 0)
    stage = Stage({TP: [FakeRecord()]})
    partition = stage.own(TP)
    await stage.read(decoder=Decoder(_Flaky(), max_bytes=1000))  # type: ignore[arg-type]
    assert len(partition.queue) == 1


async def test_producers_start_before_the_committed_offset_counts() -> None:
    stage = Stage()
    stage.consumer.committed_offsets = {TP: 40}
    await stage.ownership.on_partitions_assigned({TP, OTHER})
    assert stage.consumer.paused == {TP, OTHER}
    await stage.acquired(TP, OTHER)
    assert set(stage.consumer.seeks) == {(TP, 40), (OTHER, 0)}
    assert all(producer.steps == ["start"] for producer in stage.producers)
    assert stage.consumer.paused == set()


async def test_a_partition_is_tried_again_while_kafka_is_away() -> None:
    stage = Stage()
    stage.start_errors = [KafkaConnectionError("away")]
    await stage.ownership.on_partitions_assigned({TP})
    await asyncio.wait_for(stage.acquired(TP), 5)
    assert stage.producers[0].steps == ["start", "stop"]


async def test_revoked_partitions_go_stale_and_their_producers_stop() -> None:
    stage = Stage()
    partition = stage.own(TP)
    partition.put([item()])
    (share,) = stage.partitions.take_window(Priority.BULK, Bounds(1, 100), ready=lambda _: True)
    await stage.ownership.on_partitions_revoked({TP})
    assert share.stale
    assert len(stage.partitions) == 0
    assert [producer.steps for producer in stage.producers] == [["stop"], ["stop"]]


async def test_a_revoke_waits_for_the_transaction_in_flight() -> None:
    stage = Stage()
    partition = stage.own(TP)
    await partition.turn.acquire()
    revoking = asyncio.create_task(stage.ownership.on_partitions_revoked({TP}))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not revoking.done()
    partition.turn.release()
    await asyncio.wait_for(revoking, 1)


async def test_a_revoke_does_not_wait_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.hotloop.ownership.COMMITS_S", 0.01)
    stage = Stage()
    partition = stage.own(TP)
    await partition.turn.acquire()
    stuck = asyncio.create_task(asyncio.Event().wait())
    partition.commits.add(stuck)  # type: ignore[arg-type]
    await asyncio.wait_for(stage.ownership.on_partitions_revoked({TP}), 1)
    assert stuck.cancelled()


async def test_after_an_abort_the_partition_starts_again_with_new_producers() -> None:
    stage = Stage()
    partition = stage.own(TP)
    stage.consumer.committed_offsets = {TP: 45}
    stage.ownership.lost(partition)
    assert len(stage.partitions) == 0
    await asyncio.wait_for(stage.acquired(TP), 5)
    assert [producer.steps for producer in stage.producers] == [["stop"], ["stop"], ["start"], ["start"]]
    assert stage.consumer.seeks == [(TP, 45)]


async def test_a_partition_lost_to_a_rebalance_is_not_started_again() -> None:
    stage = Stage()
    partition = stage.own(TP)
    await stage.ownership.on_partitions_revoked({TP})
    stage.ownership.lost(partition)
    await asyncio.sleep(0)
    assert len(stage.producers) == 2


async def test_once_closed_a_rebalance_that_goes_on_brings_nothing_to_release() -> None:
    stage = Stage()
    stage.own(TP)
    rebalance = asyncio.create_task(stage.ownership.on_partitions_assigned({TP, OTHER}))
    await stage.ownership.close()
    await rebalance
    await stage.ownership.on_partitions_assigned({TP, OTHER})
    assert stage.ownership._acquiring == {}
    assert [producer.steps for producer in stage.producers] == [["stop"], ["stop"]]


def test_ready_only_while_commits_move_or_nothing_waits() -> None:
    time = [0.0]
    status = LoopStatus(clock=lambda: time[0])
    assert status.problems() == ["no partitions are assigned yet"]
    status.observe(n_waiting=0, n_partitions=1, has_assignment=True)
    time[0] = 1000.0
    assert status.problems() == []
    status.observe(n_waiting=5, n_partitions=1, has_assignment=True)
    assert status.problems() == [], "it has only just come"
    time[0] += STALLED_S + 1
    assert "5 events wait" in status.problems()[0]
    status.committed()
    assert status.problems() == []


async def test_no_lag_is_told_of_partitions_that_somebody_else_has_now() -> None:
    stage = Stage({}, {})
    stage.own(TP)
    stage.own(OTHER, committed=97)
    await stage.read()
    assert lags(stage) == {"2": 60.0, "3": 3.0}
    stage.partitions.remove(TP)
    stage.consumer.polls = [{}]
    stage.consumer.empty.clear()
    await stage.read()
    assert lags(stage) == {"3": 3.0}


async def test_a_look_at_the_lags_while_they_are_measured_finds_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage({})
    stage.own(TP)
    stage.own(OTHER, committed=97)
    reader = stage.reader()
    reader._measure()
    seen: list[set[str]] = []

    def measured(_tp: TopicPartition) -> int:
        seen.append(set(lags(stage)))
        return 100

    monkeypatch.setattr(stage.consumer, "last_stable_offset", measured)
    reader._next_lag = 0.0
    reader._measure()
    assert seen == [{"2", "3"}, {"2", "3"}]


def lags(stage: Stage) -> dict[str, float]:
    (family,) = stage.metrics.lag.collect()
    return {sample.labels["partition"]: sample.value for sample in family.samples}
