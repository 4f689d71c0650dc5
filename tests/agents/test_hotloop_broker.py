"""The hot loop on a real Kafka, judged by confluent-kafka, which shares no code with it."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import orjson
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from agents.hotloop.service import HotLoopThread
from agents.metrics import Metrics
from agents.routing import compile_routes
from agents.settings import Settings
from schemas.commands import Rule
from schemas.dead_letters import DeadLetter
from schemas.errors import DeadLetterLimitExceeded
from schemas.records import RouteRecord
from tests.agents.echo import POISON, EchoEngine, FixedTables, served, table
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
def running(
    settings: Settings, tables: FixedTables | None = None, *, failures: list[BaseException] | None = None
) -> Iterator[HotLoopThread]:
    unexpected: list[BaseException] = []
    loop = HotLoopThread(
        settings,
        engine=EchoEngine(),
        tables=tables or FixedTables(table(served())),
        metrics=Metrics(),
        failed=(unexpected if failures is None else failures).append,
    )
    asyncio.run(loop.start())
    try:
        yield loop
    finally:
        asyncio.run(loop.stop())
    assert unexpected == []


def publish(settings: Settings, topic: str, messages: Sequence[tuple[bytes | None, bytes | None, int]]) -> None:
    producer = Producer(
        {"bootstrap.servers": settings.brokers, "message.max.bytes": 20_000_000, "enable.idempotence": True}
    )
    for key, value, partition in messages:
        producer.produce(topic, key=key, value=value, partition=partition, headers=[("traceparent", b"00-1")])
        producer.poll(0)
    assert producer.flush(30) == 0


def read(settings: Settings, *topics: str, count: int, quiet_s: float = 0.5, timeout_s: float = 30) -> list[Message]:
    """Read at least ``count`` messages, and then until none came for a while."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": f"{settings.group}-reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 20_000_000,
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
    quiet_since = time.monotonic()
    while time.monotonic() < end and (len(found) < count or time.monotonic() - quiet_since < quiet_s):
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None
            found.append(message)
            quiet_since = time.monotonic()
    consumer.close()
    return found


def event(number: int, **fields: object) -> bytes:
    return orjson.dumps({"id": f"d{number}", "text": f"Änderung {number} of the loan", **fields})


def headers(message: Message) -> list[tuple[str, bytes]]:
    return [(name, value or b"") for name, value in cast(list[tuple[str, bytes]], message.headers() or [])]


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


def test_keys_and_headers_are_kept_and_entities_are_slices(settings: Settings) -> None:
    publish(settings, settings.topics.requests, [(b"\xff\x00", event(1), 3), (None, event(2), 3)])
    with running(settings):
        first, second = read(settings, settings.topics.replies, count=2)
    assert (first.key(), second.key()) == (b"\xff\x00", None)
    digest = served().digest
    assert headers(first) == [
        ("traceparent", b"00-1"),
        ("lexstream-source", f"{settings.topics.requests}/3/0".encode()),
        ("lexstream-model", f"loans/production={digest}".encode()),
    ]
    document = json.loads(first.value() or b"")
    (entity,) = document["results"][0]["entities"]
    assert document["text"][entity["offset"] :][: entity["length"]] == entity["text"] == "Änderung"


BAD = {
    "null": (None, "decode", "DecodeError"),
    "empty": (b"", "decode", "DecodeError"),
    "no JSON": (b"{no", "decode", "DecodeError"),
    "no UTF-8": (b'{"id": "x", "text": "\xff"}', "decode", "DecodeError"),
    "a list": (b"[]", "decode", "DecodeError"),
    "unknown schema": (b"\x00\x00\x00\xff\xff" + b"x", "decode", "UnknownSchema"),
    "no text": (b'{"id": "x"}', "validate", "InvalidEvent"),
    "wrong type": (b'{"id": 7, "text": []}', "validate", "InvalidEvent"),
    "lone surrogate": (b'{"id": "x", "text": "\\ud800"}', "validate", "InvalidEvent"),
    "empty text": (b'{"id": "x", "text": "  "}', "validate", "InvalidEvent"),
    "too large": (event(0, text="x" * 9_000_000), "validate", "OversizedEvent"),
    "unknown project": (event(0, tasks=[{"project": "no", "deployment": "a"}]), "model", "TasksFailed"),
    "unknown deployment": (event(0, tasks=[{"project": "loans", "deployment": "no"}]), "model", "TasksFailed"),
    "unsupported language": (event(0, language="de"), "model", "TasksFailed"),
    "breaks the model": (event(0, text=f"{POISON} it"), "model", "ModelError"),
}


def test_each_bad_event_is_one_dead_letter_and_its_neighbours_are_unharmed(settings: Settings) -> None:
    messages: list[tuple[bytes | None, bytes | None, int]] = []
    for name, (value, _, _) in BAD.items():
        messages += [(name.encode(), value, 0), (b"good", event(1), 0)]
    messages.append((None, None, 0))
    publish(settings, settings.topics.documents, messages)
    with running(settings):
        good = read(settings, settings.topics.enriched, count=len(BAD))
        letters = read(settings, settings.topics.dead_letters, count=len(BAD) + 1)
    assert [message.key() for message in good] == [b"good"] * len(BAD)
    found = {(letter.key() or b"null key").decode(): letter for letter in letters}
    assert len(letters) == len(found) == len(BAD) + 1
    for name, (value, stage, error) in BAD.items():
        of = DeadLetter.from_headers(headers(found[name]))
        assert (name, of.stage, of.error) == (name, stage, error)
        assert found[name].value() == value
        assert (of.topic, of.partition) == (settings.topics.documents, 0)
    assert "UnsupportedLanguage" in DeadLetter.from_headers(headers(found["unsupported language"])).message


def test_a_five_megabyte_text_is_enriched(settings: Settings) -> None:
    publish(settings, settings.topics.documents, [(b"long", event(1, text="word " * 1_000_000), 1)])
    with running(settings):
        (found,) = read(settings, settings.topics.enriched, count=1)
    assert len(json.loads(found.value() or b"")["text"]) == 5_000_000


def test_a_failed_task_beside_one_that_answers_is_an_error_entry(settings: Settings) -> None:
    tasks = [{"project": "loans", "deployment": "production"}, {"project": "loans", "deployment": "later"}]
    publish(settings, settings.topics.documents, [(b"k", event(1, tasks=tasks), 1)])
    tables = FixedTables(table(served()))
    with running(settings, tables):
        (found,) = read(settings, settings.topics.enriched, count=1)
    document = json.loads(found.value() or b"")
    assert [one["code"] for one in document["errors"]] == ["DeploymentNotFound"]
    assert len(document["results"]) == 1
    assert tables.settled == [{("loans", "later")}]


def test_a_switch_is_written_with_the_first_window_under_the_new_model(settings: Settings) -> None:
    old, new = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    tables = FixedTables(table(served(digest=old)))
    documents, enriched = settings.topics.documents, settings.topics.enriched
    with running(settings, tables):
        publish(settings, documents, [(b"k", event(n), 1) for n in range(10)])
        read(settings, enriched, count=10)
        tables.present = table(served(digest=new))
        publish(settings, documents, [(b"k", event(n), 1) for n in range(10, 20)])
        answers = read(settings, enriched, count=20)
        events = [json.loads(m.value() or b"") for m in read(settings, settings.topics.control_events, count=2)]
    assert [(e["event"], e["details"]["offset"], e["details"]["from"], e["details"]["to"]) for e in events] == [
        ("switched", 0, None, old),
        ("switched", 10, old, new),
    ]
    models = [dict(headers(message))["lexstream-model"].decode().partition("=")[2] for message in answers]
    assert models == [old] * 10 + [new] * 10


def test_a_route_that_takes_less_than_the_output_makes_a_dead_letter(settings: Settings) -> None:
    narrow = settings.topics.route("narrow")
    create_topics(settings.brokers, narrow, partitions=PARTITIONS, config={"max.message.bytes": "2000"})
    routes = compile_routes([RouteRecord(project="loans", name="narrow", rule=Rule())], settings.topics.route)
    sizes = [10, 5000, 20]
    publish(settings, settings.topics.documents, [(b"k%d" % n, event(1, text="x" * n), 0) for n in sizes])
    with running(settings, FixedTables(table(served(), routes=routes))):
        good = read(settings, settings.topics.enriched, count=2)
        copies = read(settings, narrow, count=2)
        (letter,) = read(settings, settings.topics.dead_letters, count=1)
    assert [m.key() for m in good] == [m.key() for m in copies] == [b"k10", b"k20"]
    assert [m.value() for m in good] == [m.value() for m in copies]
    assert (letter.key(), DeadLetter.from_headers(headers(letter)).stage) == (b"k5000", "encode")


def test_when_everything_turns_bad_the_loop_stops_and_what_was_committed_stays(settings: Settings) -> None:
    publish(settings, settings.topics.documents, [(b"k", b"bad", 0) for _ in range(3000)])
    failures: list[BaseException] = []
    with running(settings, failures=failures) as loop:
        assert loop.ended.wait(30)
    assert [type(error) for error in failures] == [DeadLetterLimitExceeded]
    assert 0 < len(read(settings, settings.topics.dead_letters, count=1)) < 1000


def worker(settings: Settings, name: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "tests.agents.echo_worker", settings.brokers, settings.namespace, name, "0.1"]
    return subprocess.Popen(words, stdout=subprocess.PIPE)


def stopped(process: "subprocess.Popen[bytes]") -> int:
    """Stop a worker that has come up, and return its exit code."""
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        process.terminate()
        return process.wait(20)


@pytest.mark.slow
def test_killed_workers_lose_and_duplicate_nothing(settings: Settings) -> None:
    total = 6000
    publish(settings, settings.topics.documents, [(b"%d" % n, event(n), n % PARTITIONS) for n in range(total)])
    enriched = settings.topics.enriched
    workers = {name: worker(settings, name) for name in ("a", "b")}
    progress = []
    for turn in range(6):
        progress.append(len(read(settings, enriched, count=(turn + 1) * total // 10, quiet_s=0)))
        victim = "ab"[turn % 2]
        with workers[victim] as process:
            process.kill()
        workers[victim] = worker(settings, victim)
    found = read(settings, enriched, settings.topics.dead_letters, count=total, timeout_s=60)
    assert [stopped(process) for process in workers.values()] == [0, 0]
    expected = {p: list(range(p, total, PARTITIONS)) for p in range(PARTITIONS)}
    assert by_partition(found, lambda message: int(message.key() or b"")) == expected
    assert progress == [(turn + 1) * total // 10 for turn in range(6)], "every kill hit a worker at work"


def test_a_worker_told_to_stop_in_the_middle_leaves_nothing_half_done(settings: Settings) -> None:
    publish(settings, settings.topics.documents, [(b"%d" % n, event(n), 0) for n in range(2000)])
    process = worker(settings, "a")
    read(settings, settings.topics.enriched, count=100, quiet_s=0)
    started = time.monotonic()
    assert stopped(process) == 0
    assert time.monotonic() - started < 5
    assert len(read(settings, settings.topics.enriched, count=100)) < 2000
    with running(settings):
        found = read(settings, settings.topics.enriched, count=2000)
    assert [int(message.key() or b"") for message in found] == list(range(2000))
