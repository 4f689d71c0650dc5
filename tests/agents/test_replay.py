"""Which dead letters are wanted, what is known of those that were sent back, and which must not be: without Kafka."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced
from hypothesis import given
from hypothesis import strategies as st

from agents import replay as module
from agents.cli.context import Cli
from agents.cli.main import run
from agents.client import Client
from agents.letters import Letter, Selection, Source, parse_time
from agents.replay import Refusal, Targets, TransactionSender, dry_run, message_of
from agents.replayed import CHUNK, Replayed, read_replayed
from agents.settings import Settings
from schemas.dead_letters import REPLAY_ATTEMPTS
from schemas.errors import (
    DecodeError,
    Fenced,
    InvalidEvent,
    InvalidInput,
    LexstreamError,
    TasksFailed,
    TopicMissing,
    Unavailable,
)
from tests.agents.dead_letter_kit import LETTERS, headers_of, letter
from tests.agents.fakes import FakeProducer
from tests.agents.records import record

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)


def chosen(**words: object) -> list[int]:
    selection = Selection(**words)  # type: ignore[arg-type]
    return [each.record.offset for each in LETTERS if each in selection]


def test_letters_are_chosen_by_reason_or_stage_time_and_source() -> None:
    assert chosen() == [0, 1, 2, 3]
    assert chosen(reasons=frozenset({"decode"})) == [0, 3]
    assert chosen(reasons=frozenset({"InvalidEvent", "model"})) == [1, 2]
    assert chosen(since_ms=2000) == [1, 2, 3]
    assert chosen(until_ms=2000) == [0]
    assert chosen(since_ms=2000, until_ms=4000, reasons=frozenset({"TasksFailed"})) == [2]


@pytest.mark.parametrize(
    ("source", "offsets"),
    [
        ("orders", [3]),
        ("n.documents/1", [0, 1, 2]),
        ("n.documents/2", []),
        ("n.documents/1@1", [1]),
        ("n.documents/1/1", [1]),
        ("n.documents/1@1-2", [1, 2]),
        ("n.documents/1@1-", [1, 2]),
        ("orders/3@7-7", [3]),
    ],
)
def test_a_source_is_a_topic_a_partition_or_offsets(source: str, offsets: list[int]) -> None:
    assert chosen(sources=(Source.parse(source),)) == offsets


@pytest.mark.parametrize("text", ["", "/1", "a/b", "a/1@", "a/1@x", "a/1@2-x", "a@7", "a/-1"])
def test_a_source_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected TOPIC, TOPIC/PARTITION"):
        Source.parse(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", NOW_MS - 90_000),
        ("30m", NOW_MS - 1_800_000),
        ("2h", NOW_MS - 7_200_000),
        ("7d", NOW_MS - 604_800_000),
        ("2026-01-05T10:00Z", NOW_MS),
        ("2026-01-05T11:00+01:00", NOW_MS),
        ("2026-01-05T10:00:00.000999Z", NOW_MS),
        ("2026-01-05", round(datetime(2026, 1, 5).timestamp() * 1000)),  # noqa: DTZ001 - local, as people mean it
    ],
)
def test_a_time_is_a_moment_or_an_age(text: str, ms: int) -> None:
    assert parse_time(text, option="--since", now=NOW) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "2", "2w", "-1h", "2026-13-01", "999999d"])
def test_a_time_that_is_none_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--until .*expected a time such as"):
        parse_time(text, option="--until", now=NOW)


def known(offsets: Iterable[int]) -> Replayed:
    """What is read back of what was written when these were replayed."""
    read = Replayed()
    for key, value in Replayed().after(letter(offset) for offset in offsets).records():
        read.read(key, value)
    return read


@given(st.frozensets(st.integers(0, 3 * CHUNK), max_size=200))
def test_exactly_what_was_replayed_is_known_afterwards(offsets: frozenset[int]) -> None:
    read = known(offsets)
    near = {offset + step for offset in offsets for step in (-1, 0, 1)} | {0, CHUNK - 1, CHUNK}
    assert {offset for offset in near if offset >= 0 and letter(offset) in read} == offsets


def test_what_is_written_grows_with_what_is_sent_and_not_with_what_was_left_out() -> None:
    before = known(range(0, 2 * CHUNK, 2))
    records = list(before.after([letter(5)]).records())
    assert [key for key, _ in records] == [b"0/0"]
    read = Replayed()
    read.read(*records[0])
    assert letter(5) in read
    assert letter(4) in read
    assert letter(4, partition=1) not in read


def test_a_newer_letter_in_the_place_of_one_that_was_replayed_is_told_apart() -> None:
    read = known([7])
    assert letter(7, at_ms=1) not in read
    assert read.stale(letter(7, at_ms=1))
    assert not read.stale(letter(8, at_ms=1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"x", b"{}"),
        (b"0/0", None),
        (b"0/0", b"{}"),
        (b"0/0", b'{"replayed": [[5, 2]], "newestMs": "x"}'),
    ],
)
def test_foreign_records_of_what_was_replayed_are_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(LexstreamError, match="cannot be read"):
        Replayed().read(key, value)


SETTINGS = Settings(namespace="n", brokers="b:1", group="g")


@dataclass
class SpreadingClient:
    """The first nodes that it asks have not heard of the topic yet."""

    n_unaware: int
    settings: Settings = SETTINGS
    error: type[InvalidInput] = TopicMissing

    async def snapshot(self, topics: list[str]) -> AsyncIterator[ConsumerRecord]:
        self.n_unaware -= 1
        if self.n_unaware >= 0:
            raise self.error([f"the topic {topics[0]} does not exist"])
        for key, value in Replayed().after([letter(7)]).records():
            yield record(topics[0], key=key, value=value)


async def read_from(nodes: SpreadingClient) -> Replayed:
    return await read_replayed(cast(Client, nodes))


async def test_a_node_that_has_not_heard_of_the_topic_is_not_believed_that_nothing_was_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(_settings: Settings) -> dict[str, list[int]]:
        return {}

    monkeypatch.setattr("agents.replayed.existing_topics", nothing)
    assert letter(7) in await read_from(SpreadingClient(1))
    monkeypatch.setattr("agents.replayed.SPREAD_S", 0.0)
    with pytest.raises(TopicMissing, match=r"n\.replays does not exist"):
        await read_from(SpreadingClient(9))


async def test_a_topic_that_we_may_not_see_is_not_waited_for() -> None:
    with pytest.raises(InvalidInput):
        await read_from(SpreadingClient(1, error=InvalidInput))


TARGETS = Targets({"n.documents": 4, "orders": 4}, lambda topic: 1000 if topic == "orders" else 1_000_000, "n.")


def refused(given: Letter, most_attempts: int = 3) -> Refusal | None:
    return TARGETS.refusal(given, message_of(given), most_attempts=most_attempts)


def headers(topic: str, error: DecodeError | InvalidEvent | None = None, attempts: int = 0) -> list[tuple[str, bytes]]:
    original = [(REPLAY_ATTEMPTS, b"%d" % attempts)] if attempts else []
    return headers_of(error or DecodeError("x"), 0, topic=topic, original=original)


def test_a_letter_is_refused_for_what_would_go_wrong_again() -> None:
    assert refused(letter()) is None
    assert refused(letter(headers=headers("n.documents", attempts=2))) is None
    assert refused(letter(headers=headers("n.documents", attempts=3))) is Refusal.FAILED_AGAIN
    assert refused(letter(headers=headers("n.documents", attempts=3)), most_attempts=4) is None
    assert refused(letter(headers=headers("gone"))) is Refusal.NO_TOPIC
    assert refused(letter(headers=headers("n.registry"))) is Refusal.NO_INPUT
    assert refused(letter(headers=headers("orders"), value=b"x" * 1000)) is Refusal.TOO_LARGE


@pytest.mark.parametrize("error", [b"OversizedEvent", b"UnreadableRecord"])
def test_a_letter_without_its_content_is_not_sent_as_if_it_had_none(error: bytes) -> None:
    said = [(name, error if name.endswith("class.name") else value) for name, value in headers("orders")]
    assert refused(letter(headers=said, value=None)) is Refusal.EMPTIED
    assert refused(letter(headers=headers("orders"), value=None)) is None


def test_an_event_goes_back_as_it_was_to_the_partition_it_came_from() -> None:
    message = message_of(LETTERS[3])
    assert (message.topic, message.partition, message.key, message.value) == ("orders", 3, b"key", b"value")
    assert message.headers == [
        ("trace", b"t7"),
        ("lexstream-replayed-from", b"n.dead-letters/0/3"),
        ("lexstream-replay-attempts", b"1"),
    ]


async def test_no_letter_of_a_topic_that_was_made_anew_passes_for_one_that_was_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextlib.asynccontextmanager
    async def letters_of(_client: Client, **_: object) -> AsyncIterator[AsyncIterator[list[Letter]]]:
        async def batches() -> AsyncIterator[list[Letter]]:
            yield [*(letter(offset, at_ms=1) for offset in range(10)), letter(10, at_ms=1, error=TasksFailed("x"))]

        yield batches()

    async def looked_up(_client: Client) -> Replayed:
        return known(range(10))

    async def targets(_settings: Settings) -> Targets:
        return TARGETS

    monkeypatch.setattr("agents.replay.letters_of", letters_of)
    monkeypatch.setattr("agents.replay.look_up_replayed", looked_up)
    monkeypatch.setattr("agents.replay.read_targets", targets)
    chosen = Selection(reasons=frozenset({"TasksFailed"}))
    with pytest.raises(LexstreamError, match=r"n\.dead-letters/0/0 is older than the letter: the topic was made anew"):
        await dry_run(cast(Client, SpreadingClient(0)), chosen)


def sender(producer: FakeProducer, replayed: Replayed) -> TransactionSender:
    return TransactionSender(producer, replayed=replayed, targets=TARGETS, settings=SETTINGS)


async def test_letters_and_what_is_known_of_them_are_sent_in_one_transaction() -> None:
    producer, replayed = FakeProducer(), Replayed()
    await sender(producer, replayed).send([(each, message_of(each)) for each in LETTERS[:3]])
    assert producer.steps == ["begin", "send", "send", "commit"]
    assert producer.sent == [("n.documents", 1, 3), ("n.replays", 0, 1)]
    assert [each in replayed for each in LETTERS] == [True, True, True, False]


@pytest.mark.parametrize(
    ("error", "fatal", "expected"),
    [
        (ProducerFenced(), False, Fenced),
        (KafkaError("x"), True, Fenced),
        (IllegalOperation("x"), True, Fenced),
        (KafkaError("x"), False, Unavailable),
        (IllegalOperation("x"), False, Unavailable),
    ],
)
async def test_what_was_not_committed_is_not_taken_for_sent(
    error: Exception, fatal: bool, expected: type[Exception]
) -> None:
    producer, replayed = FakeProducer({"commit": error}), Replayed()
    producer._txn_manager.fatal = fatal
    with pytest.raises(expected):
        await sender(producer, replayed).send([(LETTERS[0], message_of(LETTERS[0]))])
    assert LETTERS[0] not in replayed
    assert producer.steps[3:] == ["commit"] + ["abort"] * (not fatal)


class Away(FakeProducer):
    """Its Kafka answers no more once there is something to commit."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def commit_transaction(self) -> None:
        self._step("commit")
        self.asked.set()
        await asyncio.Event().wait()

    async def abort_transaction(self) -> None:
        self._step("abort")
        await asyncio.Event().wait()


async def test_a_kafka_that_is_away_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.hotloop.transactions._STOP_S", 0.01)
    producer, replayed = Away(), Replayed()
    patient = sender(producer, replayed)
    patient._patience_s = 0.01
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="did not confirm what was sent"):
            await patient.send([(LETTERS[0], message_of(LETTERS[0]))])
    assert producer.steps[-2:] == ["commit", "abort"]
    assert LETTERS[0] not in replayed


async def test_a_replay_that_is_told_to_stop_leaves_no_transaction_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.hotloop.transactions._STOP_S", 0.01)
    producer = Away()
    sending = asyncio.create_task(sender(producer, Replayed()).send([(LETTERS[0], message_of(LETTERS[0]))]))
    await producer.asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert producer.steps[-1] == "abort"


def test_who_interrupts_a_replay_is_told_how_far_it_got(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Nowhere:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> None: ...

    async def interrupted(*_: object, report: module.Report, **__: object) -> None:
        report.note(LETTERS)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "replay", interrupted)
    monkeypatch.setattr(Cli, "client", lambda _: Nowhere())
    assert run(["dead-letters", "replay"]) == 130
    assert "at least 4 letters were sent back: run it again, none is sent twice" in capsys.readouterr().err
