"""Ten thousand hostile events through the real hot loop on a real broker, judged by confluent-kafka.

Each gives one output, enriched or dead letter, in the order of its partition; the worker lives on, within a bound of
memory, and nothing that a publisher wrote is in its logs or in the words of an error.
"""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from agents.settings import Settings
from agents.topics import create_topics as create_all_topics
from schemas.base import now
from schemas.dead_letters import DeadLetter, original_headers
from schemas.names import Kind
from schemas.records import DeploymentRecord, ModelReference, ProjectRecord
from tests.agents.control_kit import Outside, settings_of
from tests.broker import create_topics
from tests.hostile.grammar import MARK, MEGABYTE, NAME, examples, giants, messages, varied
from tests.hostile.raw_batches import Message, RawBatch, send_raw

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTITIONS = 4
N_EVENTS = 10_000
N_DRAWN = 300
MOST_RSS = 1500 * MEGABYTE
"""What the worker may take with 4 partitions, ``buffer_mb`` 64 and events of 8 MiB; it starts with some 200."""
_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
UNREADABLE = {"UnreadableRecord", "OversizedEvent"}
Headers = list[tuple[str, bytes | None]]


@dataclass
class Journal:
    """What was published, and what came out, by partition and offset."""

    sent: dict[tuple[int, int], Message] = field(default_factory=dict)
    outputs: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    order: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def n_done(self) -> int:
        return sum(map(len, self.outputs.values()))


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    settings = settings_of(kafka, namespace, tmp_path, default_tasks=["loans/production"], dead_letter_limit=1.0)
    topics = settings.topics
    create_topics(kafka, topics.documents, partitions=PARTITIONS, config={"max.message.bytes": str(20 * MEGABYTE)})
    outputs = {"max.message.bytes": str(25 * MEGABYTE)}
    create_topics(kafka, topics.enriched, topics.dead_letters, partitions=PARTITIONS, config=outputs)
    asyncio.run(_prepare(settings))
    return settings


async def _prepare(settings: Settings) -> None:
    await create_all_topics(settings, PARTITIONS)
    project = ProjectRecord(name="loans", kind=Kind.ENTITIES, language="en", created_at=now(), updated_at=now())
    model = ModelReference(label="v1", digest="sha256:" + "0" * 64)
    deployed = DeploymentRecord(project="loans", name="production", model=model, deployed_at=now(), command_id="c")
    async with Outside(settings) as outside:
        await outside.write(project, deployed)


@dataclass
class Worker:
    """A worker process, what it says, and the most memory it ever took."""

    process: psutil.Popen
    log: Path

    def peak_rss(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@contextmanager
def worker(settings: Settings, folder: Path) -> Iterator[Worker]:
    given = settings.model_dump(mode="json", exclude_unset=True)
    log = folder / "worker.log"
    with log.open("wb") as out:
        words = [sys.executable, "-m", "tests.hostile.worker", orjson.dumps(given).decode()]
        process = psutil.Popen(words, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield Worker(process, log)
        finally:
            process.terminate()
            code = process.wait(30)
    assert code == 0, log.read_text()[-2000:]


def publish(settings: Settings, many: Sequence[Message], journal: Journal) -> None:
    """Send messages by turns to each partition and with each compression."""
    producers = [
        Producer(
            {
                "bootstrap.servers": settings.brokers,
                "compression.type": compression,
                "enable.idempotence": True,
                "message.max.bytes": 100_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
                "linger.ms": 20,
            }
        )
        for compression in _COMPRESSIONS
    ]
    for number, message in enumerate(many):

        def note(error: Any, done: Any, message: Message = message) -> None:
            if error is None:
                journal.sent[done.partition(), done.offset()] = message
            else:
                journal.wrong.append(f"the broker refused {len(message.value or b'')} bytes: {error}")

        producer = producers[number % len(producers)]
        producer.produce(
            settings.topics.documents,
            key=message.key,
            value=message.value,
            headers=list(message.headers),
            partition=number % PARTITIONS,
            on_delivery=note,
        )
        producer.poll(0)
    assert [producer.flush(60) for producer in producers] == [0] * len(producers)


def read(settings: Settings, journal: Journal, running: Worker, *, count: int, timeout_s: float = 60) -> None:
    """Read outputs until each event has one, and a moment longer: what comes too often would show."""
    started = time.monotonic()
    topics = settings.topics
    consumer = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": f"{settings.group}-judge",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 30_000_000,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign(
        [TopicPartition(t, p, 0) for t in (topics.enriched, topics.dead_letters) for p in range(PARTITIONS)]
    )
    end, quiet_since = time.monotonic() + timeout_s, time.monotonic()
    while journal.n_done < count or time.monotonic() - quiet_since < 1:
        assert time.monotonic() < end, f"{journal.n_done} of {count}: {running.log.read_text()[-1000:]}"
        assert running.process.is_running(), running.log.read_text()[-2000:]
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None
            judge(settings, journal, message)
            quiet_since = time.monotonic()
    consumer.close()
    print(f"read in {time.monotonic() - started:.1f} s")


def judge(settings: Settings, journal: Journal, message: Any) -> None:
    headers: Headers = list(message.headers() or [])
    if message.topic() == settings.topics.dead_letters:
        letter = DeadLetter.from_headers([(name, value or b"") for name, value in headers])
        place = letter.partition, letter.offset
        journal.errors[letter.error] += 1
        if MARK in letter.message or not letter.message.isprintable() or len(letter.message) > 500:
            journal.wrong.append(f"{place}: the error's words: {letter.message!r}")
        sent = journal.sent.get(place)
        given = (message.key(), message.value(), original_headers(headers))  # type: ignore[arg-type]
        whole = sent is None or given == (sent.key, sent.value, list(sent.headers))
        if not whole and (letter.error not in UNREADABLE or given != (None, None, [])):
            journal.wrong.append(f"{place}: {letter.error} has other content than the event")
    else:
        journal.errors["enriched"] += 1
        sources = [value for name, value in headers if name == "lexstream-source"]
        models = [value for name, value in headers if name == "lexstream-model"]
        topic, partition, offset = (sources[-1] or b"").decode().split("/")
        place = int(partition), int(offset)
        document = orjson.loads(message.value())
        if (
            len(sources) != 1
            or models != [b"loans/production=sha256:" + b"0" * 64]
            or topic != settings.topics.documents
        ):
            journal.wrong.append(f"{place}: forged headers went through")
        if (document["source"]["partition"], document["source"]["offset"]) != place:
            journal.wrong.append(f"{place}: its document is of another")
    journal.outputs.setdefault(place, []).append(message.topic())
    journal.order.setdefault((message.topic(), message.partition()), []).append(place[1])


def assert_all_answered(journal: Journal, running: Worker) -> None:
    """In = out + dead, in order, within the memory, and nothing of the publishers' in the log."""
    assert journal.wrong == []
    assert set(journal.sent) == set(journal.outputs)
    assert {place: topics for place, topics in journal.outputs.items() if len(topics) > 1} == {}
    assert all(offsets == sorted(offsets) for offsets in journal.order.values())
    said = running.log.read_text(errors="replace")
    assert "got 8 partitions" in said
    assert MARK not in said
    assert NAME not in said
    ours = [line for line in map(orjson.loads, said.splitlines()) if line["logger"].startswith("agents.")]
    assert {line["level"] for line in ours} <= {"info", "warning"}
    peak = running.peak_rss()
    print(f"{len(journal.sent)} events: {dict(journal.errors)}; peak RSS {peak // MEGABYTE} MB")
    assert peak < MOST_RSS


@pytest.fixture(scope="module")
def drawn() -> list[Message]:
    found: list[Message] = examples(messages, N_DRAWN)
    return found


def test_every_hostile_event_gives_one_output(settings: Settings, drawn: list[Message], tmp_path: Path) -> None:
    journal = Journal()
    with worker(settings, tmp_path) as running:
        publish(settings, varied(drawn, N_EVENTS), journal)
        read(settings, journal, running, count=N_EVENTS)
        assert_all_answered(journal, running)
    assert journal.errors.keys() >= {"enriched", "DecodeError", "InvalidEvent", "UnknownSchema", "TasksFailed"}


def test_giants_and_bombs_give_one_output_each_and_take_no_memory(settings: Settings, tmp_path: Path) -> None:
    journal = Journal()
    good = Message(orjson.dumps({"id": "good", "text": "a good event"}))
    hundred = Message(b"0" * 100 * MEGABYTE)
    half = Message(orjson.dumps({"id": "x", "text": "x" * 7 * MEGABYTE}))
    not_utf8 = {b"HEADER": b"\xff\xfe\xfd\xfcAB"}
    raw = [
        RawBatch([hundred], "gzip"),
        RawBatch([good, hundred, good], "zstd"),
        RawBatch([half] * 20, "zstd"),
        *[RawBatch([half], "gzip")] * 40,
        RawBatch([good, Message(good.value, headers=[("HEADER", MARK.encode())]), good], replaced=not_utf8),
        RawBatch([Message(good.value, headers=[("HEADER", MARK.encode())])] * 100, "zstd", replaced=not_utf8),
        RawBatch([Message(b"0" * 30 * MEGABYTE, key=MARK.encode())], "zstd"),
        RawBatch([Message(b"", headers=[(MARK, b"0" * 30 * MEGABYTE)])], "gzip"),
        RawBatch([good]),
    ]
    with worker(settings, tmp_path) as running:
        publish(settings, giants(), journal)
        send_raw(settings.brokers, settings.topics.documents, [(n % PARTITIONS, one) for n, one in enumerate(raw)])
        count = len(journal.sent) + sum(len(batch.messages) for batch in raw)
        read(settings, journal, running, count=count)
        journal.sent |= dict.fromkeys(set(journal.outputs) - set(journal.sent), good)
        assert len(journal.sent) == count
        assert_all_answered(journal, running)
    assert journal.errors["UnreadableRecord"] >= 100
