"""The controller on a real broker: commands to events, twice the same, garbage, two at once, imports."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.app import group_of
from agents.control.controller import Controller, Current
from agents.control.garbage import Blobs
from agents.labels import read_labels
from agents.registry import RegistryFollower
from agents.settings import Settings
from agents.topics import check_topics
from models.store import Store
from schemas.base import now
from schemas.errors import Unavailable
from schemas.records import CommandRecord, JobStatus
from tests.agents.control_kit import Outside, Running, command, make_bundle, named, read_all, settings_of

pytestmark = pytest.mark.broker


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    return settings_of(kafka, namespace, tmp_path)


@pytest.fixture
async def outside(settings: Settings) -> AsyncIterator[Outside]:
    async with Outside(settings) as outside:
        yield outside


def labels_file(n: int, *, category: str = "Date") -> dict[str, Any]:
    """Azure's labels file of ``n`` documents, each with one label on its first four characters."""
    label = {"category": category, "offset": 0, "length": 4}
    return {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {
            "projectKind": "CustomEntityRecognition",
            "storageInputContainerName": "texts",
            "projectName": "loans",
            "multilingual": True,
            "description": "leases",
            "language": "en-us",
            "settings": {},
        },
        "assets": {
            "projectKind": "CustomEntityRecognition",
            "entities": [{"category": "Date"}],
            "documents": [
                {
                    "location": f"{i:02}.txt",
                    "language": "en-us",
                    "entities": [{"regionOffset": 0, "regionLength": 9, "labels": [label]}],
                }
                for i in range(n)
            ],
        },
    }


def bundle(settings: Settings, n: int, *, category: str = "Date") -> str:
    texts = {f"{i:02}.txt": f"2026 no {i % 10}" for i in range(n)}
    return Store(settings.store_url).put(make_bundle(labels_file(n, category=category), texts))


CREATE = command("createProject", id="c1", kind="CustomEntityRecognition")


async def test_commands_that_come_while_skipped_ones_are_looked_for_are_done_once(
    outside: Outside, settings: Settings
) -> None:
    ids = [f"c{number:02}" for number in range(12)]
    left: list[BaseException] = []
    async with Running(settings, look_s=0.0, leave=left.append):
        for name in ids:
            await outside.hand_in(command("createProject", name, id=name, kind="CustomEntityRecognition"))
        events = await outside.events(until=lambda found: len(found) >= 2 * len(ids) or bool(left))
    assert left == []
    assert [(event["commandId"], event["event"]) for event in events] == [
        (name, event) for name in ids for event in ("accepted", "succeeded")
    ]


async def test_commands_become_records_and_events_in_order(outside: Outside, settings: Settings) -> None:
    digest = bundle(settings, 12)
    async with Running(settings):
        await outside.hand_in(
            CREATE,
            command("importLabels", id="c2", bundle=digest),
            command("setRoute", id="c3", name="fraud", rule={"any": ["Date"]}),
            command("train", id="c4", modelLabel="v1"),
            command("train", id="c5", modelLabel="v2"),
        )
        events = await outside.events(until=lambda found: bool(named(found, "c5")))
    assert named(events, "c1") == ["accepted", "succeeded"]
    assert named(events, "c2") == ["accepted", "succeeded"]
    assert named(events, "c4") == ["accepted"]
    assert named(events, "c5") == ["rejected"], "one job at a time"
    registry = await outside.registry()
    found = registry.project("loans")
    assert found is not None
    assert (found.n_documents, found.n_labelled, found.categories) == (12, 12, ["Date"])
    assert (found.language, found.multilingual, found.storage_container) == ("en-us", True, "texts")
    started = registry.job("c4")
    assert started is not None
    assert started.status is JobStatus.NOT_STARTED
    assert [m.value for m in await read_all(settings, settings.topics.jobs)] == [b"c4"]
    assert await check_topics(settings, routes=["fraud"]) == []
    assert not Store(settings.store_url).has(digest), "an imported bundle is not kept"
    offset = await outside.consumed(group_of(settings, "worker"), TopicPartition(settings.topics.control, 0))
    assert offset == 5


async def test_what_is_too_old_leaves_the_registry_with_the_next_command(outside: Outside, settings: Settings) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    young, old = (
        CommandRecord(id=name, project="loans", event="succeeded", at=at)
        for name, at in (("young", now()), ("old", long_ago))
    )
    await outside.write(young, old)
    async with Running(settings):
        await outside.hand_in(command("createProject", id="1", kind="CustomEntityRecognition"))
        registry = await outside.registry_when(lambda state: state.command("1") is not None)
    assert registry.command("old") is None
    assert registry.command("young") is not None
    assert registry.project("loans") is not None


async def test_an_import_replaces_all_labels_or_none(outside: Outside, settings: Settings) -> None:
    async with Running(settings):
        await outside.hand_in(CREATE, command("importLabels", id="c2", bundle=bundle(settings, 14)))
        await outside.hand_in(command("importLabels", id="c3", bundle=bundle(settings, 11)))
        await outside.hand_in(command("importLabels", id="c4", bundle=bundle(settings, 13, category="Dat")))
        await outside.hand_in(command("importLabels", id="c5", bundle=f"sha256:{'0' * 64}"))
        events = await outside.events(until=lambda found: bool(named(found, "c5")))
    refused = next(event for event in events if event["commandId"] == "c4")
    assert refused["event"] == "rejected"
    assert len(refused["details"]["problems"]) == 13
    assert named(events, "c5") == ["rejected"]
    labels = await read_labels(settings, "loans")
    assert [document.id for document in labels.documents] == [f"{i:02}.txt" for i in range(11)]
    assert labels == await read_labels(settings, "loans")
    assert labels.digest.startswith("sha256:")
    assert sum(last - first + 1 for first, last in labels.offsets.values()) >= 11
    assert (await read_labels(settings, "loan")).documents == ()


async def test_deleting_a_project_deletes_its_labels(outside: Outside, settings: Settings) -> None:
    async with Running(settings):
        await outside.hand_in(CREATE, command("importLabels", id="c2", bundle=bundle(settings, 10)))
        await outside.hand_in(command("deleteProject", id="c3"))
        await outside.events(until=lambda found: named(found, "c3") == ["accepted", "succeeded"])
    assert (await read_labels(settings, "loans")).documents == ()
    assert {key.partition("/")[0] for key in (await outside.registry()).records} == {"command"}


async def test_the_same_command_twice_is_done_once_but_its_job_is_sent_again(
    outside: Outside, settings: Settings
) -> None:
    train = command("train", id="c3", modelLabel="v1")
    async with Running(settings):
        await outside.hand_in(CREATE, CREATE, command("importLabels", id="c2", bundle=bundle(settings, 10)))
        await outside.hand_in(train, train, command("deleteRoute", id="end", name="x"))
        events = await outside.events(until=lambda found: bool(named(found, "end")))
    assert named(events, "c1") == ["accepted", "succeeded"]
    assert named(events, "c3") == ["accepted"]
    assert [m.value for m in await read_all(settings, settings.topics.jobs)] == [b"c3", b"c3"]


async def test_garbage_is_rejected_with_all_that_is_wrong_and_holds_nothing_up(
    outside: Outside, settings: Settings
) -> None:
    wrong = {"id": "bad", "command": "createProject", "project": "a b", "parameters": {"kind": "x", "colour": 1}}
    async with Running(settings):
        await outside.hand_in(
            b"\xff\xfe{", None, b"[]", b'{"command": "fly"}', orjson.dumps(wrong), b'"\\ud800"', CREATE
        )
        events = await outside.events(until=lambda found: bool(named(found, "c1")))
    rejected = [event for event in events if event["event"] == "rejected"]
    assert len(rejected) == 6
    assert all(event["details"]["problems"] for event in rejected)
    described = next(event for event in rejected if event["commandId"] == "bad")
    assert described["project"] == "a b"
    assert [problem.partition(":")[0] for problem in described["details"]["problems"]] == [
        "project",
        "parameters.kind",
        "parameters.colour",
    ]
    assert named(events, "c1") == ["accepted", "succeeded"]


async def test_a_frozen_controller_that_wakes_writes_nothing(outside: Outside, settings: Settings) -> None:
    partition = TopicPartition(settings.topics.control, 0)
    store = Store(settings.store_url)
    async with RegistryFollower(settings) as registry:
        thaw, frozen = asyncio.Event(), asyncio.Event()
        stale = owning(settings, _Freezing(registry, frozen, thaw), store)
        fresh = owning(settings, registry, store)
        value = orjson.dumps(CREATE.payload())
        waking = asyncio.create_task(stale.handle(value, partition, 0))
        await frozen.wait()
        await fresh.handle(value, partition, 0)
        stale.on_revoked(None, [partition])
        thaw.set()
        await asyncio.wait_for(waking, 20)
        other = orjson.dumps(command("createProject", "tickets", id="c2", kind="CustomEntityRecognition").payload())
        await fresh.handle(other, partition, 1)
        await stale.stop()
        await fresh.stop()
    events = await outside.events()
    assert named(events, "c1") == ["accepted", "succeeded"]
    assert named(events, "c2") == ["accepted", "succeeded"]


async def test_a_controller_that_was_fenced_but_owns_the_partition_does_the_command(
    outside: Outside, settings: Settings
) -> None:
    partition = TopicPartition(settings.topics.control, 0)
    store = Store(settings.store_url)
    async with RegistryFollower(settings) as registry:
        thaw, frozen = asyncio.Event(), asyncio.Event()
        owner = owning(settings, _Freezing(registry, frozen, thaw), store)
        intruder = owning(settings, registry, store)
        working = asyncio.create_task(owner.handle(orjson.dumps(CREATE.payload()), partition, 1))
        await frozen.wait()
        await intruder.handle(b"{}", partition, 0)
        thaw.set()
        await asyncio.wait_for(working, 20)
        await owner.stop()
        await intruder.stop()
    assert named(await outside.events(), "c1") == ["accepted", "succeeded"]


async def test_what_a_dead_controller_left_open_holds_nobody_up(outside: Outside, settings: Settings) -> None:
    group, partition = group_of(settings, "worker"), TopicPartition(settings.topics.control, 0)
    dead = AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id=f"{settings.group}-controller")
    await dead.start()
    try:
        await dead.begin_transaction()
        await dead.send_and_wait(settings.topics.control_events, b"never to be seen")
        await dead.send_offsets_to_transaction({partition: 0}, group)
        await outside.hand_in(CREATE)
        async with Running(settings):
            events = await outside.events(until=lambda found: bool(named(found, "c1")))
    finally:
        await dead.stop()
    assert named(events, "c1") == ["accepted", "succeeded"]
    assert await outside.consumed(group, partition) == 1


async def test_a_command_that_was_skipped_is_read_again_before_the_next(outside: Outside, settings: Settings) -> None:
    partition = TopicPartition(settings.topics.control, 0)
    given = [command("createProject", name, id=name, kind="CustomEntityRecognition") for name in "abc"]
    await outside.hand_in(*given)
    async with RegistryFollower(settings) as registry:
        controller = owning(settings, registry, Store(settings.store_url))
        await controller.handle(orjson.dumps(given[0].payload()), partition, 0)
        restarted = owning(settings, registry, Store(settings.store_url))
        await restarted.handle(orjson.dumps(given[2].payload()), partition, 2)
        await controller.stop()
        await restarted.stop()
    assert [event["project"] for event in await outside.events() if event["event"] == "succeeded"] == ["a", "b", "c"]
    assert await outside.consumed(group_of(settings, "worker"), partition) == 3


async def test_something_unforeseen_ends_the_process_and_leaves_the_command(
    outside: Outside, settings: Settings
) -> None:
    left: list[BaseException] = []
    controller = owning(settings, _Broken(), Store(settings.store_url), leave=left.append)
    partition = TopicPartition(settings.topics.control, 0)
    await controller.handle(orjson.dumps(CREATE.payload()), partition, 0)
    await controller.stop()
    assert [str(error) for error in left] == ["boom"]
    assert await outside.events() == []
    assert await outside.consumed(group_of(settings, "worker"), partition) is None


async def test_a_command_waits_while_the_store_is_away(outside: Outside, settings: Settings) -> None:
    digest = bundle(settings, 10)
    store = _Away(Store(settings.store_url), times=2)
    async with RegistryFollower(settings) as registry:
        controller = owning(settings, registry, store)
        partition = TopicPartition(settings.topics.control, 0)
        given = command("importLabels", id="c2", bundle=digest)
        for offset, one in enumerate((CREATE, given)):
            await controller.handle(orjson.dumps(one.payload()), partition, offset)
        await controller.stop()
    assert store.times == 0
    assert named(await outside.events(), "c2") == ["accepted", "succeeded"]


def owning(settings: Settings, registry: Current, store: Blobs, **options: Any) -> Controller:
    """A controller that takes itself for the owner of the control topic's only partition."""
    controller = Controller(settings, registry, store, **options)
    controller.on_assigned(None, [TopicPartition(settings.topics.control, 0)])
    return controller


class _Freezing:
    """A registry whose first reader stops in the middle of a command until it is thawed."""

    def __init__(self, registry: RegistryFollower, frozen: asyncio.Event, thaw: asyncio.Event) -> None:
        self._registry, self._frozen, self._thaw = registry, frozen, thaw

    async def catch_up(self) -> Any:
        state = await self._registry.catch_up()
        if not self._frozen.is_set():
            self._frozen.set()
            await self._thaw.wait()
        return state


class _Broken:
    async def catch_up(self) -> Any:
        raise ZeroDivisionError("boom")


class _Away:
    """A store that does not answer the first times."""

    def __init__(self, store: Store, *, times: int) -> None:
        self._store, self.times = store, times

    def get(self, digest: str) -> bytes:
        if self.times:
            self.times -= 1
            raise Unavailable("the store does not answer")
        return self._store.get(digest)

    def delete_blob(self, digest: str) -> None:
        self._store.delete_blob(digest)

    def delete_model(self, digest: str) -> None:
        self._store.delete_model(digest)
