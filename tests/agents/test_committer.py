"""From a window's answers to commits: in order, once, and never for a partition that moved on."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from agents.enrich import Enricher
from agents.hotloop.answers import Answering, Asked
from agents.hotloop.committer import Committer
from agents.hotloop.dead_letter_limit import DeadLetterLimit
from agents.hotloop.limits import Limits
from agents.hotloop.partitions import Partition, Share
from agents.hotloop.status import LoopStatus
from agents.hotloop.window import Bounds
from agents.lanes import Priority
from agents.serving import Answerers
from schemas.codecs.codec import EnrichedCodec
from schemas.errors import DecodeError, Fenced
from schemas.names import StringIndexType
from tests.agents.echo import first_word, served
from tests.agents.factories import item
from tests.agents.fakes import FakeProducer
from tests.agents.test_reading import LANE, TP, Stage


class Scene(Stage):
    def __init__(self, patience_s: float = 5.0) -> None:
        super().__init__()
        answering = Answering(
            LANE,
            dead_letters="n.dead-letters",
            control_events="n.control-events",
            enricher=Enricher(include_text=True, string_index_type=StringIndexType.CODE_POINT),
            codec=EnrichedCodec(),
            limit=lambda _: 1_000_000,
        )
        self.committer = Committer(
            "g",
            answering={TP.topic: answering},
            ownership=self.ownership,
            patience_s=patience_s,
            limits=Limits(1_000_000),
            dead_letter_limit=DeadLetterLimit(0.5),
            status=LoopStatus(),
            metrics=self.metrics,
            crash=self.crashes.append,
        )

    def window(self, partition: Partition, *offsets: int) -> Share:
        partition.put([item(offset=offset) for offset in offsets])
        (share,) = self.partitions.take_window(Priority.BULK, Bounds(len(offsets), 10_000), ready=lambda _: True)
        return share

    def commit(self, share: Share) -> "asyncio.Task[None]":
        asked = [Asked(one, Answerers((served(),), ()), [first_word("Jane")]) for one in share.items]
        return self.committer.start(share, asked, {})


async def test_windows_of_a_partition_commit_in_order_taking_turns() -> None:
    scene = Scene()
    partition = scene.own(TP)
    tasks = [scene.commit(scene.window(partition, *offsets)) for offsets in ((40, 41), (42,), (43,))]
    await asyncio.gather(*tasks)
    first, second = scene.producers
    assert [step for step in second.steps if "offsets" in step] == ["offsets [42] g", "offsets [44] g"]
    assert [step for step in first.steps if "offsets" in step] == ["offsets [43] g"]
    assert (partition.committed, partition.in_flight) == (44, 0)
    assert scene.crashes == []


async def test_a_window_that_was_in_the_model_when_its_partition_was_revoked_ends() -> None:
    scene = Scene()
    share = scene.window(scene.own(TP), 40)
    await scene.ownership.on_partitions_revoked({TP})
    await asyncio.wait_for(scene.commit(share), 1)
    assert share.partition.in_flight == 0
    assert scene.n_stale == 1
    assert all("begin" not in producer.steps for producer in scene.producers)


async def test_a_window_of_a_partition_that_moved_on_is_dropped() -> None:
    scene = Scene()
    share = scene.window(scene.own(TP), 40)
    scene.partitions.remove(TP)
    await scene.commit(share)
    assert all("begin" not in producer.steps for producer in scene.producers)
    assert scene.n_stale == 1


@pytest.mark.parametrize("waits", [False, True], ids=["fails", "never ends"])
async def test_a_transaction_that_does_not_go_through_is_done_again(waits: bool) -> None:
    scene = Scene(patience_s=0.05)
    partition = scene.own(TP)
    for producer in scene.producers:
        if waits:
            producer.commit_transaction = asyncio.Event().wait  # type: ignore[method-assign, assignment]
        else:
            producer.errors["commit"] = KafkaError("no")
    later = scene.window(partition, 40), scene.window(partition, 41)
    await asyncio.gather(*map(scene.commit, later))
    await scene.acquired(TP)
    assert [producer.steps[0] for producer in scene.producers[2:]] == ["start", "start"]
    assert partition.committed == 40, "nothing was committed, and the second window was not tried"
    assert scene.n_stale == 1
    assert scene.crashes == []


@pytest.mark.parametrize("error", [Fenced(), RuntimeError("bug")])
async def test_what_nobody_can_mend_ends_the_process(error: Exception) -> None:
    scene = Scene()
    share = scene.window(scene.own(TP), 40)
    for producer in scene.producers:
        producer.errors["begin"] = error
    await scene.commit(share)
    assert scene.crashes == [error]


async def test_too_many_dead_letters_end_the_process_before_they_are_committed() -> None:
    scene = Scene()
    partition = scene.own(TP)
    bad: list[Any] = [item(DecodeError("no JSON"), offset=40 + n) for n in range(1000)]
    partition.put(bad)
    (share,) = scene.partitions.take_window(Priority.BULK, Bounds(1000, 100_000), ready=lambda _: True)
    await scene.committer.start(share, [Asked(one, Answerers((), ()), []) for one in bad], {})
    assert [type(error).__name__ for error in scene.crashes] == ["DeadLetterLimitExceeded"]
    assert all(producer.steps == [] for producer in scene.producers)


async def test_dead_letters_of_a_transaction_that_was_aborted_are_not_counted_twice() -> None:
    scene = Scene()
    for again in (False, True):
        partition = scene.own(TP)
        for producer in scene.producers[-2:]:
            producer.errors = {} if again else {"commit": KafkaError("no")}
        bad: list[Any] = [item(DecodeError("no JSON"), offset=40 + n) for n in range(600)]
        partition.put(bad)
        (share,) = scene.partitions.take_window(Priority.BULK, Bounds(1000, 100_000), ready=lambda _: True)
        await scene.committer.start(share, [Asked(one, Answerers((), ()), []) for one in bad], {})
    assert scene.crashes == []
    assert partition.committed == 640
    assert scene.metrics.dead_letters.labels("DecodeError")._value.get() == 600


def test_the_fake_producer_is_what_a_transaction_needs() -> None:
    from aiokafka import AIOKafkaProducer

    used = [name for name in vars(FakeProducer) if not name.startswith("_")]
    assert all(callable(getattr(AIOKafkaProducer, name)) for name in used)
