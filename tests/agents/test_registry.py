"""The registry follower against a real broker: it holds what was committed, and nothing else."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient

from agents import registry as following
from agents.registry import Registry, RegistryFollower, decode_record, encode_record, watch
from agents.settings import Settings, load_settings
from schemas.errors import DecodeError
from schemas.names import Kind
from schemas.records import ProjectRecord, record_key
from tests.broker import create_topics

MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


def project(name: str) -> ProjectRecord:
    return ProjectRecord(name=name, kind=Kind.ENTITIES, language="en", created_at=MOMENT, updated_at=MOMENT)


def test_a_record_comes_back_from_its_bytes() -> None:
    record = project("loans")
    key = record_key(record)
    assert decode_record(key.encode(), encode_record(record)) == (key, record)
    assert decode_record(key.encode(), None) == (key, None)


@pytest.mark.parametrize(("value", "why"), [(b"{", "is no JSON"), (b"{}", "name"), (b"[]", "expected an object")])
def test_what_is_wrong_with_a_record_is_safe_to_print(value: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=rf"^record 'project/loans\\x1b\[2J'.*{why}"):
        decode_record(b"project/loans\x1b[2J", value)
    assert decode_record(b"future/thing", value) is None


def test_changes_add_replace_and_take_away() -> None:
    state = Registry().after({"project/a": project("a"), "project/b": project("b")})
    later = state.after({"project/a": None})
    assert [record.name for record in state.all(ProjectRecord)] == ["a", "b"]
    assert later.project("a") is None
    assert later.project("b") == project("b")


async def test_a_watched_task_says_what_ended_it_but_not_that_it_was_cancelled() -> None:
    heard: list[BaseException] = []

    async def breaks() -> None:
        raise LookupError

    tasks = [asyncio.create_task(breaks()), asyncio.create_task(asyncio.sleep(60))]
    for task in tasks:
        watch(task, heard.append)
    await asyncio.wait(tasks[:1])
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert [type(error) for error in heard] == [LookupError]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> "asyncio.Queue[str]":
    """What the follower warns of."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(following.logger, "warning", lambda words, *facts: heard.put_nowait(words % facts))
    monkeypatch.setattr(following, "LOOK_S", 0.05)
    return heard


def configured(kafka: str, namespace: str, folder: Path) -> Settings:
    return load_settings({"brokers": kafka, "namespace": namespace, "home": folder}, file=folder / "none.toml")


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    create_topics(kafka, f"{namespace}.registry", config={"cleanup.policy": "compact"})
    return configured(kafka, namespace, tmp_path)


async def write(producer: AIOKafkaProducer, settings: Settings, *names: str) -> None:
    for name in names:
        record = project(name)
        await producer.send_and_wait(settings.topics.registry, encode_record(record), record_key(record).encode())


@pytest.mark.broker
async def test_catch_up_sees_all_that_was_committed_and_nothing_aborted(settings: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id=settings.namespace)
    async with producer, RegistryFollower(settings) as follower:
        for number in range(5):
            async with producer.transaction():
                await write(producer, settings, f"kept-{number}", f"also-{number}")
            assert (await follower.catch_up()).project(f"also-{number}")
            with pytest.raises(LookupError):
                async with producer.transaction():
                    await write(producer, settings, f"aborted-{number}")
                    raise LookupError
            await follower.catch_up()
        assert len(follower.state.all(ProjectRecord)) == 10


@pytest.mark.broker
async def test_catch_up_waits_for_what_was_committed_behind_a_transaction_that_is_open(settings: Settings) -> None:
    left, producer = (
        AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id=f"{settings.namespace}-{name}")
        for name in ("left", "other")
    )
    async with left, producer, RegistryFollower(settings) as follower:
        await left.begin_transaction()
        await write(left, settings, "half")
        async with producer.transaction():
            await write(producer, settings, "behind")
        catching = asyncio.create_task(follower.catch_up())
        assert await asyncio.wait({catching}, timeout=0.5) == (set(), {catching})
        async with asyncio.timeout(10), RegistryFollower(settings) as another:
            assert another.state == Registry(), "to look, what can be read is enough"
        await left.abort_transaction()
        state = await catching
    assert [record.name for record in state.all(ProjectRecord)] == ["behind"]


class Behind:
    """A consumer that has not read all."""

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 1)

    async def position(self, _partition: TopicPartition) -> int:
        return 0


async def test_a_catch_up_that_is_cancelled_leaves_the_lock_to_who_holds_it(tmp_path: Path) -> None:
    follower = RegistryFollower(configured("nowhere:1", "n", tmp_path))
    follower._consumer, follower._task = Behind(), asyncio.create_task(asyncio.sleep(60))
    follower._high_watermark._consumer = follower._consumer
    follower._assigned.set()
    changed = follower._changed
    catching = asyncio.create_task(follower.catch_up())
    while not changed._waiters:  # noqa: ASYNC110
        await asyncio.sleep(0)
    async with changed, asyncio.timeout(10):
        while not changed._lock._waiters:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0)
        catching.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not catching.done(), "its block would have let go of a lock that is ours"
    with pytest.raises(asyncio.CancelledError):
        await catching
    follower._task.cancel()


class Cancelling:
    """A consumer whose Kafka is away when it stops: its end is a cancellation that nobody asked for."""

    def __init__(self) -> None:
        self._client, self._fetcher = self, None
        self.closed = False

    async def stop(self) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        self.closed = True


async def test_a_registry_is_left_whatever_its_consumer_ends_with(tmp_path: Path) -> None:
    follower, consumer = RegistryFollower(configured("nowhere:1", "n", tmp_path)), Cancelling()
    follower._consumer = consumer
    await follower.stop()
    assert consumer.closed


@pytest.mark.broker
async def test_a_new_follower_starts_with_everything_and_hears_of_changes(settings: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
    async with producer:
        await write(producer, settings, "before")
        async with RegistryFollower(settings) as follower:
            assert follower.state.project("before")
            heard: list[Registry] = []
            follower.on_change(heard.append)
            await write(producer, settings, "after")
            await follower.wait_for(lambda state: state.project("after") is not None)
            assert heard[-1].project("after")


@pytest.mark.broker
async def test_a_missing_topic_is_waited_for_and_told_of_once(
    kafka: str, namespace: str, tmp_path: Path, warned: "asyncio.Queue[str]", caplog: pytest.LogCaptureFixture
) -> None:
    settings = configured(kafka, namespace, tmp_path)
    follower = RegistryFollower(settings)
    starting = asyncio.create_task(follower.start())
    assert await warned.get() == (
        f"the topic {namespace}.registry does not exist; waiting for it: `lexstream topics create` makes it"
    )
    assert await asyncio.wait({starting}, timeout=0.5) == (set(), {starting})
    assert warned.empty()
    assert not caplog.records
    create_topics(kafka, settings.topics.registry)
    await starting
    await follower.stop()


@pytest.mark.broker
async def test_a_topic_that_goes_away_and_comes_again_is_followed_on(
    settings: Settings, warned: "asyncio.Queue[str]", caplog: pytest.LogCaptureFixture
) -> None:
    topic, admin = settings.topics.registry, AdminClient({"bootstrap.servers": settings.brokers})
    async with RegistryFollower(settings) as follower:
        admin.delete_topics([topic])[topic].result()
        await warned.get()
        create_topics(settings.brokers, topic)
        async with AIOKafkaProducer(bootstrap_servers=settings.brokers) as producer:
            await write(producer, settings, "after")
        await follower.wait_for(lambda state: state.project("after") is not None)
    assert warned.empty()
    ours = [record for record in caplog.records if record.name.startswith("agents.")]
    assert len(ours) <= 2, "what the client repeats is for the log's own filter to leave out"


@pytest.mark.broker
async def test_a_topic_that_was_missing_for_a_moment_is_not_read_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers) as producer, RegistryFollower(settings) as follower:
        await write(producer, settings, "before", "also")
        await follower.wait_for(lambda state: state.project("also") is not None)
        heard: list[Registry] = []
        follower.on_change(heard.append)
        with monkeypatch.context() as gone:
            asked = asyncio.Event()
            gone.setattr(AIOKafkaConsumer, "partitions_for_topic", lambda *_: asked.set())
            await asked.wait()
        await write(producer, settings, "after")
        await follower.wait_for(lambda state: state.project("after") is not None)
    assert len(heard) == 1
