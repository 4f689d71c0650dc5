"""Loading beside what serves: succeeded, refused, rolled back, forgotten."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from agents import loader
from agents.serving import Parked, Refused, Served
from schemas.commands import Rule
from schemas.control_events import EventType
from schemas.errors import Unavailable
from schemas.records import RouteRecord
from tests.agents.deployed import deployment
from tests.agents.echo import EchoEngine, EchoModel, project
from tests.agents.loader_kit import KEY, Scene, scene


async def test_what_is_deployed_is_served_after_the_start() -> None:
    async with scene(EchoEngine(), deployment("d1")) as here:
        assert here.serves() == "d1"
        (event,) = here.said
        assert (event.event, event.command_id, event.project) == (EventType.PROGRESS, None, "loans")
        assert event.details["worker"] == "w1"
        assert event.details["deployment"] == "production"
        assert event.details["model"] == {"label": "label-d1", "digest": "d1"}
        assert event.details["backend"] == "echo"
        assert event.details["plan"]["backend"] == "echo"


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
        assert here.events()[1] == (EventType.REJECTED, "c2")
        assert here.said[1].details["problems"] == ["bad is not in the store"]
        await here.after(deployment("d3", command="c3", previous="bad"))
        assert here.serves() == "d3"


async def test_a_refused_model_that_is_deployed_again_is_tried_again() -> None:
    async with scene(EchoEngine(missing=["d2"]), deployment("d1")) as here:
        await here.after(deployment("d2", command="c2", previous="d1"))
        here.engine.missing.clear()
        await here.after(deployment("d2", command="c3", previous="d1"))
        assert here.serves() == "d2"
        assert here.events()[1:] == [(EventType.REJECTED, "c2"), (EventType.SUCCEEDED, "c3")]


async def test_a_worker_that_starts_with_a_bad_model_serves_the_previous_one() -> None:
    async with scene(EchoEngine(missing=["bad"]), deployment("bad", previous="d1")) as here:
        assert here.serves() == "d1"
        assert here.loader.problems() == [], "somebody answers"


async def test_a_worker_that_starts_after_two_refusals_serves_what_served_before() -> None:
    record = deployment("bad", previous="worse", earlier=("d1", "d0"))
    async with scene(EchoEngine(missing=["bad", "worse"]), record) as here:
        assert here.serves() == "d1"


async def test_a_deployment_without_any_loadable_model_is_refused() -> None:
    async with scene(EchoEngine(missing=["bad", "worse"]), deployment("bad", previous="worse")) as here:
        found = here.loader.table().deployments[KEY]
        assert found == Refused(("bad is not in the store", "worse is not in the store"))
        assert here.loader.problems() == [
            "loans/production: bad is not in the store; deploy a model that can be loaded"
        ]
        await here.after(deployment("d1", command="c2", previous="bad"))
        assert here.loader.problems() == []


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
    assert made.loader.table().deployments == {KEY: Parked()}
    assert made.loader.problems() == ["loans/production: the store does not answer; trying again"]
    engine.away.clear()
    await asyncio.wait_for(starting, 5)
    assert made.serves() == "d1"
    assert made.events() == [(EventType.PROGRESS, None)]
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
        assert here.loader.table().deployments == {KEY: Parked()}
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
        assert [here.serves("a"), here.serves("b")] == [None, "d2"]


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
    assert made.events() == [(EventType.REJECTED, "c1")]
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
