"""One transaction: what is in it, in which order, and what becomes of errors."""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RequestTimedOutError,
)

from agents.hotloop.answers import Outgoing, outgoing
from agents.hotloop.limits import Limits
from agents.hotloop.transactions import TooLarge, Turns, commit, pack
from schemas.errors import Fenced
from tests.agents.fakes import FakeBatch, FakeProducer

TP = TopicPartition("n.documents", 2)


def message(topic: str = "out", partition: int = 2, size: int = 10) -> Outgoing:
    return outgoing(topic, partition, key=b"k", value=b"x" * size, headers=[])


async def run(producer: FakeProducer, *messages: Outgoing) -> None:
    await commit(producer, messages, offset=(TP, 42), group="g", limit=lambda _: 1_000_000)


async def test_everything_is_sent_before_the_offset_and_the_commit() -> None:
    producer = FakeProducer()
    await run(producer, message(), message("dead"), message())
    assert producer.steps == ["begin", "send", "send", "offsets [42] g", "commit"]
    assert producer.sent == [("out", 2, 2), ("dead", 2, 1)]


async def test_a_topic_with_fewer_partitions_gets_the_number_modulo_theirs() -> None:
    producer = FakeProducer(partitions=1)
    await run(producer, message("control-events", 3))
    assert producer.sent == [("control-events", 0, 1)]


@pytest.mark.parametrize("step", ["begin", "send", "offsets [42] g", "commit"])
async def test_an_error_aborts(step: str) -> None:
    producer = FakeProducer({step: RequestTimedOutError()})
    with pytest.raises(RequestTimedOutError):
        await run(producer, message())
    assert producer.steps[-1] == "abort"
    assert step == "commit" or "commit" not in producer.steps


async def test_an_abort_that_fails_does_not_hide_the_error() -> None:
    producer = FakeProducer({"commit": RequestTimedOutError(), "abort": KafkaError("no")})
    with pytest.raises(RequestTimedOutError):
        await run(producer, message())


async def test_fencing_is_final() -> None:
    producer = FakeProducer({"commit": ProducerFenced()})
    with pytest.raises(Fenced):
        await run(producer, message())
    assert "abort" not in producer.steps


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("commit", KafkaError("Unexpected error during batch delivery")),
        ("send", IllegalOperation("Can't send messages while not in transaction")),
        ("begin", AssertionError("Invalid state transition")),
    ],
)
async def test_a_fatal_state_is_final_whatever_the_error_says(step: str, error: Exception) -> None:
    producer = FakeProducer({step: error})
    producer._txn_manager.fatal = True
    with pytest.raises(Fenced):
        await run(producer, message())
    assert "abort" not in producer.steps


async def test_a_transaction_that_broke_in_the_background_is_aborted() -> None:
    producer = FakeProducer({"send": IllegalOperation("Can't send messages while not in transaction")})
    with pytest.raises(KafkaError, match="broke before its end"):
        await run(producer, message())
    assert producer.steps[-1] == "abort"


async def test_what_is_our_own_mistake_is_not_hidden() -> None:
    producer = FakeProducer({"send": AssertionError("ours")})
    with pytest.raises(AssertionError, match="ours"):
        await run(producer, message())


async def test_a_batch_that_a_topic_refuses_is_named() -> None:
    producer = FakeProducer({"send": MessageSizeTooLargeError()})
    with pytest.raises(TooLarge) as caught:
        await run(producer, message(size=5000))
    assert caught.value.batch.topic == "out"
    assert caught.value.batch.largest > 5000
    assert producer.steps[-1] == "abort"


def test_batches_keep_the_order_and_the_limit() -> None:
    packed = pack(
        [message(size=n) for n in (400, 400, 5000, 10, 10)], FakeBatch, counts={"out": 4}, limit=lambda _: 1500
    )
    (batches,) = packed
    assert [[len(m["value"]) for m in batch.builder.messages] for batch in batches] == [[400, 400], [5000], [10, 10]]


async def test_two_producers_take_turns_and_both_start_before_either_is_used() -> None:
    first, second = FakeProducer(), FakeProducer()
    turns = Turns([first, second])
    await turns.start()
    assert first.steps == second.steps == ["start"]
    assert [turns.next() for _ in range(4)] == [second, first, second, first]


async def test_a_producer_that_cannot_start_is_an_error() -> None:
    with pytest.raises(KafkaError):
        await Turns([FakeProducer(), FakeProducer({"start": KafkaError("away")})]).start()


async def test_stopping_survives_errors() -> None:
    producers = [FakeProducer({"stop": KafkaError("away")}), FakeProducer()]
    await Turns(producers).stop()
    assert [producer.steps for producer in producers] == [["stop"], ["stop"]]


def test_limits_are_learnt_from_refusals() -> None:
    limits = Limits(20_000)
    limits.refused("a", batch=5000, message=5000)
    assert limits("a") == 4999, "a single message that is refused is too large"
    limits.refused("b", batch=8000, message=100)
    assert limits("b") == 4000, "of several, none need be"
    assert limits("c") == 20_000
