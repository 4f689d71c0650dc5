"""The registry follower against a real broker: it holds what was committed, and nothing else."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.registry import Registry, RegistryFollower, decode_record, encode_record, watch
from agents.settings import Settings, load_settings
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


@pytest.mark.parametrize("value", [b"{", b"{}", b"[]"])
def test_a_record_that_cannot_be_read_is_left_out(value: bytes) -> None:
    assert decode_record(b"project/loans", value) is None
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
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    create_topics(kafka, f"{namespace}.registry", config={"cleanup.policy": "compact"})
    return load_settings({"brokers": kafka, "namespace": namespace, "home": tmp_path}, file=tmp_path / "none.toml")


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
