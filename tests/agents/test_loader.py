"""Loading beside what serves: succeeded, refused, rolled back, forgotten."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agents import loader
from agents.loader import Loader
from agents.metrics import Metrics
from agents.registry import Registry
from agents.serving import Refused, Served
from schemas.base import now
from schemas.commands import Rule
from schemas.control_events import ControlEvent, EventType
from schemas.errors import Unavailable
from schemas.records import DeploymentRecord, ModelReference, Record, RouteRecord, record_key
from tests.agents.echo import EchoEngine, EchoModel, project

KEY = ("loans", "production")


@dataclass
class FakeFollower:
    state: Registry = field(default_factory=Registry)
    listeners: list[Callable[[Registry], None]] = field(default_factory=list)
    unread: list[Record] = field(default_factory=list)

    def on_change(self, listener: Callable[[Registry], None]) -> None:
        self.listeners.append(listener)

    async def catch_up(self) -> Registry:
        self.put(*self.unread)
        return self.state

    def put(self, *records: Record) -> None:
        self.change({record_key(record): record for record in records})

    def change(self, changes: dict[str, Record | None]) -> None:
        self.state = self.state.after(changes)
        for listener in self.listeners:
            listener(self.state)


def deployment(
    digest: str, *, command: str = "c1", previous: str | None = None, name: str = "production"
) -> DeploymentRecord:
    return DeploymentRecord(
        project="loans",
        name=name,
        model=ModelReference(label=f"label-{digest}", digest=digest),
        previous=ModelReference(label=f"label-{previous}", digest=previous) if previous else None,
        deployed_at=now(),
        command_id=command,
    )


class Scene:
    def __init__(self, engine: EchoEngine, *records: Record) -> None:
        self.engine = engine
        self.follower = FakeFollower()
        self.follower.put(project(), *records)
        self.said: list[ControlEvent] = []
        self.heard = asyncio.Event()
        self.failures: asyncio.Queue[BaseException] = asyncio.Queue()
        self.loader = Loader(
            self.follower,
            engine=engine,
            route_topic=lambda name: f"n.routes.{name}",
            announce=self._announce,
            worker="w1",
            models_bytes=0,
            metrics=Metrics(),
            failed=self.failures.put_nowait,
        )

    def _announce(self, event: ControlEvent) -> None:
        self.said.append(event)
        self.heard.set()

    async def after(self, *records: Record) -> None:
        """Put records, and wait until the table has dealt with them."""
        self.heard.clear()
        self.follower.put(*records)
        await asyncio.wait_for(self.heard.wait(), 5)
        await asyncio.wait_for(self.loader.settle({KEY}), 5)

    def serves(self) -> str | None:
        found = self.loader.table().deployments.get(KEY)
        return found.digest if isinstance(found, Served) else None

    def events(self) -> list[tuple[EventType, str | None]]:
        return [(event.event, event.command_id) for event in self.said]


@asynccontextmanager
async def scene(engine: EchoEngine, *records: Record) -> AsyncIterator[Scene]:
    made = Scene(engine, *records)
    await made.loader.start()
    try:
        yield made
    finally:
        await made.loader.stop()


async def test_what_is_deployed_is_served_after_the_start() -> None:
    async with scene(EchoEngine(), deployment("d1")) as here:
        assert here.serves() == "d1"
        (event,) = here.said
        assert (event.event, event.command_id, event.project) == (EventType.SUCCEEDED, "c1", "loans")
        assert event.details["worker"] == "w1"
        assert event.details["deployment"] == "production"
        assert event.details["model"] == {"label": "label-d1", "digest": "d1"}
        assert event.details["backend"] == "echo"


class Forgetting(EchoEngine):
    def __init__(self) -> None:
        super().__init__()
        self.unloaded = threading.Event()

    def unload(self, digest: str) -> None:
        super().unload(digest)
        self.unloaded.set()


async def test_another_model_takes_over_and_the_old_one_is_unloaded() -> None:
    engine = Forgetting()
    async with scene(engine, deployment("d1")) as here:
        await here.after(deployment("d2", command="c2", previous="d1"))
        assert await asyncio.to_thread(engine.unloaded.wait, 5)
        assert here.serves() == "d2"
        assert here.events()[1] == (EventType.SUCCEEDED, "c2")
    assert list(here.engine.models) == ["d2"]


async def test_a_model_that_does_not_load_is_refused_and_the_old_one_serves_on() -> None:
    async with scene(EchoEngine(missing=["bad"]), deployment("d1")) as here:
        await here.after(deployment("bad", command="c2", previous="d1"))
        assert here.serves() == "d1"
        assert here.events()[1] == (EventType.FAILED, "c2")
        assert here.said[1].details["problems"] == ["bad is not in the store"]
        await here.after(deployment("d3", command="c3", previous="bad"))
        assert here.serves() == "d3"


async def test_a_refused_model_that_is_deployed_again_is_tried_again() -> None:
    async with scene(EchoEngine(missing=["d2"]), deployment("d1")) as here:
        await here.after(deployment("d2", command="c2", previous="d1"))
        here.engine.missing.clear()
        await here.after(deployment("d2", command="c3", previous="d1"))
        assert here.serves() == "d2"
        assert here.events()[1:] == [(EventType.FAILED, "c2"), (EventType.SUCCEEDED, "c3")]


async def test_a_worker_that_starts_with_a_bad_model_serves_the_previous_one() -> None:
    async with scene(EchoEngine(missing=["bad"]), deployment("bad", previous="d1")) as here:
        assert here.serves() == "d1"


async def test_a_worker_that_starts_after_two_refusals_serves_what_served_before() -> None:
    earlier = {"earlier": [ModelReference(label="v1", digest="d1"), ModelReference(label="v0", digest="d0")]}
    record = deployment("bad", previous="worse").model_copy(update=earlier)
    async with scene(EchoEngine(missing=["bad", "worse"]), record) as here:
        assert here.serves() == "d1"


async def test_a_deployment_without_any_loadable_model_is_refused() -> None:
    async with scene(EchoEngine(missing=["bad", "worse"]), deployment("bad", previous="worse")) as here:
        found = here.loader.table().deployments[KEY]
        assert found == Refused(("bad is not in the store", "worse is not in the store"))


async def test_each_record_is_dealt_with_once() -> None:
    async with scene(EchoEngine(), deployment("d1")) as here:
        here.follower.put(project(description="other"))
        await here.loader.settle({KEY})
        assert len(here.said) == 1


async def test_projects_and_routes_change_at_once() -> None:
    async with scene(EchoEngine(), deployment("d1")) as here:
        here.follower.put(RouteRecord(project="loans", name="x", rule=Rule()), project(multilingual=True))
        table = here.loader.table()
        assert [route.topic for route in table.routes["loans"]] == ["n.routes.x"]
        served = table.deployments[KEY]
        assert isinstance(served, Served)
        assert served.multilingual
        here.follower.change({"deployment/loans/production": None})
        assert here.loader.table().deployments == {}


async def test_settling_reads_the_registry_to_its_end_and_waits_for_the_model() -> None:
    async with scene(EchoEngine()) as here:
        here.follower.unread = [deployment("d1")]
        await asyncio.wait_for(here.loader.settle({KEY}), 5)
        assert here.serves() == "d1"


async def test_settling_what_does_not_exist_returns_at_once() -> None:
    async with scene(EchoEngine()) as here:
        await asyncio.wait_for(here.loader.settle({("no", "thing")}), 5)


class Away(EchoEngine):
    """Its store does not answer for some of the models."""

    def __init__(self, *digests: str, missing: Sequence[str] = ()) -> None:
        super().__init__(missing)
        self.away = set(digests)
        self.tries = threading.Semaphore(0)

    def load(self, digest: str) -> EchoModel:
        if digest in self.away:
            self.tries.release()
            raise Unavailable("the store does not answer")
        return super().load(digest)

    async def tried(self, times: int) -> None:
        for _ in range(times):
            assert await asyncio.to_thread(self.tries.acquire, timeout=5)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "RETRY_S", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_a_start_waits_for_the_store_and_refuses_nothing() -> None:
    made = Scene(Away("d1"), deployment("d1"))
    engine = made.engine
    assert isinstance(engine, Away)
    starting = asyncio.create_task(made.loader.start())
    await engine.tried(9)
    assert not starting.done()
    assert made.loader.table().deployments == {}
    assert made.loader.problems() == ["loans/production: the store does not answer; trying again"]
    engine.away.clear()
    await asyncio.wait_for(starting, 5)
    assert made.serves() == "d1"
    assert made.events() == [(EventType.SUCCEEDED, "c1")]
    assert made.loader.problems() == []
    await made.loader.stop()


@pytest.mark.usefixtures("at_once")
async def test_documents_wait_for_a_first_model_as_long_as_the_store_is_away() -> None:
    engine = Away("d1")
    async with scene(engine) as here:
        here.follower.put(deployment("d1"))
        settling = asyncio.create_task(here.loader.settle({KEY}))
        await engine.tried(9)
        assert not settling.done()
        assert here.loader.table().deployments == {}
        engine.away.clear()
        await asyncio.wait_for(settling, 5)
        assert here.serves() == "d1"


@pytest.mark.usefixtures("at_once")
async def test_nobody_waits_for_a_deployment_that_was_deleted() -> None:
    engine = Away("d1")
    async with scene(engine) as here:
        here.follower.put(deployment("d1"))
        settling = asyncio.create_task(here.loader.settle({KEY}))
        await engine.tried(3)
        here.follower.change({"deployment/loans/production": None})
        await asyncio.wait_for(settling, 5)
        assert here.loader.problems() == []


@pytest.mark.usefixtures("at_once")
async def test_one_model_that_cannot_be_read_holds_up_no_other() -> None:
    engine = Away("d1")
    async with scene(engine) as here:
        here.follower.put(deployment("d1", name="a"), deployment("d2", name="b"))
        await asyncio.wait_for(here.loader.settle({("loans", "b")}), 5)
        assert list(here.loader.table().deployments) == [("loans", "b")]


@pytest.mark.usefixtures("at_once")
async def test_a_worker_with_a_model_that_serves_is_well_while_the_next_one_is_away() -> None:
    engine = Away("d2")
    async with scene(engine, deployment("d1")) as here:
        here.follower.put(deployment("d2", command="c2", previous="d1"))
        await engine.tried(3)
        assert here.serves() == "d1"
        assert here.loader.problems() == []


@pytest.mark.usefixtures("at_once")
async def test_a_refusal_is_said_once_even_if_the_model_before_it_is_away() -> None:
    engine = Away("d1", missing=["bad"])
    made = Scene(engine, deployment("bad", previous="d1"))
    starting = asyncio.create_task(made.loader.start())
    await engine.tried(5)
    engine.away.clear()
    await asyncio.wait_for(starting, 5)
    assert made.serves() == "d1"
    assert made.events() == [(EventType.FAILED, "c1")]
    await made.loader.stop()


class Broken(EchoEngine):
    def load(self, digest: str) -> EchoModel:
        if digest == "bug":
            raise LookupError("nobody thought of this")
        return super().load(digest)


async def test_a_loader_that_ends_by_itself_says_so() -> None:
    async with scene(Broken(), deployment("d1")) as here:
        here.follower.put(deployment("bug", command="c2", previous="d1"))
        assert isinstance(await asyncio.wait_for(here.failures.get(), 5), LookupError)


async def test_a_loader_that_is_stopped_did_not_fail() -> None:
    async with scene(EchoEngine(), deployment("d1")) as here:
        pass
    assert here.failures.empty()
