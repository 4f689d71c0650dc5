"""More deployments than memory holds: who gives way, who comes back, and what documents see of it."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agents import loader
from agents.serving import Parked, Refused, Served
from models.manifest import WEIGHTS, EncoderManifest, Manifest
from models.plans import Plan
from models.store import Store
from models.tuning.tuner import Tuner
from schemas.control_events import EventType
from schemas.errors import Unavailable
from schemas.names import Kind
from schemas.records import DeploymentRecord
from tests.agents.deployed import deployment
from tests.agents.echo import EchoEngine, EchoModel, EchoParts
from tests.agents.loader_kit import scene

MODEL_BYTES = 1000


def deployments(*names: str) -> list[DeploymentRecord]:
    return [deployment(f"of {name}", name=name, minute=-at) for at, name in enumerate(names)]


class Watched(EchoEngine):
    """Tests may wait for what it holds."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        super().__init__(missing)
        self._changed = threading.Condition()

    def unload(self, digest: str) -> None:
        with self._changed:
            super().unload(digest)
            self._changed.notify_all()

    async def holds(self, *digests: str) -> None:
        """Return when these are the models in memory, and no others."""
        assert await asyncio.to_thread(self._wait, sorted(digests)), f"got {sorted(self.models)}, expected {digests}"

    def _wait(self, digests: list[str]) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: sorted(self.models) == digests, 5)


class Gate(Watched):
    """Loads no model that it was not told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.open = threading.Event()

    def load(self, digest: str) -> EchoModel:
        if digest.startswith("slow"):
            self.asked.set()
            assert self.open.wait(5)
        return super().load(digest)


class Sharing(Watched):
    """Its models are heads of 10 bytes on encoders of 1000."""

    def load(self, digest: str) -> EchoModel:
        model = replace(super().load(digest), own_nbytes=10, nbytes=1010, parts=EchoParts(digest.partition(" ")[0]))
        self.models[digest] = model
        return model

    def loaded_bytes(self) -> int:
        return 10 * len(self.models) + 1000 * len({model.parts.encoder for model in self.models.values()})


async def test_a_start_loads_the_newest_deployments_until_memory_is_full() -> None:
    async with scene(EchoEngine(), *deployments("a", "b", "c", "d"), models_bytes=2 * MODEL_BYTES) as here:
        assert [here.serves(name) for name in "abcd"] == ["of a", "of b", None, None]
        assert here.in_memory() == ["of a", "of b"]
        assert here.loader.table().deployments[("loans", "d")] == Parked()
        assert here.counted("lexstream_parked_deployments") == 2
        assert here.loader.problems() == []


async def test_a_parked_deployment_is_loaded_for_documents_and_the_least_recently_used_gives_way() -> None:
    engine = Watched()
    async with scene(engine, *deployments("a", "b", "c"), models_bytes=2 * MODEL_BYTES) as here:
        here.used("b")
        here.used("a")
        await here.settle("c")
        assert here.serves("c") == "of c"
        await engine.holds("of a", "of c")
        assert here.loader.table().deployments[("loans", "b")] == Parked()
        here.used("c")
        await here.settle("b")
        await engine.holds("of b", "of c")
        assert here.counted("lexstream_model_loads_total") == 5


async def test_a_model_stays_until_the_documents_that_waited_for_it_had_their_turn() -> None:
    engine = Watched()
    async with scene(engine, *deployments("a", "b", "c"), models_bytes=MODEL_BYTES) as here:
        await here.settle("b")
        await here.settle("c")
        assert [here.serves("b"), here.serves("c")] == ["of b", "of c"]
        here.used("b")
        await engine.holds("of c")


async def test_one_document_may_ask_more_models_than_memory_holds() -> None:
    async with scene(EchoEngine(), *deployments("a", "b", "c"), models_bytes=MODEL_BYTES) as here:
        await here.settle("a", "b", "c")
        assert [here.serves(name) for name in "abc"] == ["of a", "of b", "of c"]


async def test_a_model_nobody_came_back_for_gives_way_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "PROMISE_S", 0.0)
    engine = Watched()
    async with scene(engine, *deployments("a", "b", "c"), models_bytes=MODEL_BYTES) as here:
        await here.settle("b", "c")
        await engine.holds("of b")


async def test_a_model_larger_than_the_bound_is_loaded_alone(caplog: pytest.LogCaptureFixture) -> None:
    engine = Watched()
    async with scene(engine, *deployments("a", "b"), models_bytes=1) as here:
        assert here.in_memory() == ["of a"]
        await here.settle("b")
        here.used("b")
        await engine.holds("of b")
    assert "take more memory than models_mb allows" in caplog.text


async def test_heads_on_one_encoder_take_its_memory_once() -> None:
    heads = [deployment(f"shared {i}", name=f"n{i}", minute=i) for i in range(50)]
    async with scene(Sharing(), *heads, models_bytes=1500) as here:
        assert len(here.in_memory()) == 50
        assert here.counted("lexstream_deployed_models_bytes") == 1500
        assert here.counted("lexstream_parked_deployments") == 0


async def test_an_encoder_gives_way_with_all_its_heads() -> None:
    heads = [deployment(f"x {i}", name=f"x{i}", minute=i) for i in range(3)]
    engine = Sharing()
    async with scene(engine, *heads, models_bytes=1100) as here:
        here.follower.put(deployment("y 0", name="y", minute=9))
        await here.settle("y")
        here.used("y")
        await engine.holds("y 0")


async def test_a_parked_deployment_that_moves_is_verified_before_it_has_succeeded() -> None:
    async with scene(EchoEngine(missing=["bad"]), *deployments("a", "b"), models_bytes=MODEL_BYTES) as here:
        assert [event.details["deployment"] for event in here.said] == ["a", "b"]
        await here.after(deployment("bad", name="b", command="c2", previous="of b"))
        assert here.events()[-1] == (EventType.REJECTED, "c2")
        await here.settle("b")
        assert here.serves("b") == "of b"
        await here.after(deployment("new", name="b", command="c3", previous="of b"))
        assert here.events()[-1] == (EventType.SUCCEEDED, "c3")
        assert here.serves("b") == "new"


async def test_what_was_put_off_at_the_start_is_verified_when_documents_ask_for_it() -> None:
    async with scene(EchoEngine(), *deployments("a", "b", "c"), models_bytes=MODEL_BYTES) as here:
        assert [event.details["deployment"] for event in here.said] == ["a", "b"]
        await here.settle("c")
        assert [event.details["deployment"] for event in here.said] == ["a", "b", "c"]


async def test_a_parked_model_that_is_damaged_meanwhile_gives_its_place_to_an_older_one() -> None:
    record = deployment("new", name="b", minute=-1, previous="old")
    engine = EchoEngine()
    async with scene(engine, *deployments("a"), record, models_bytes=MODEL_BYTES) as here:
        engine.missing.add("new")
        await here.settle("b")
        assert here.serves("b") == "old"
        assert here.events()[-1] == (EventType.REJECTED, "c1")


async def test_a_parked_model_that_is_damaged_meanwhile_is_refused_if_there_is_no_older_one() -> None:
    engine = EchoEngine()
    async with scene(engine, *deployments("a", "b"), models_bytes=MODEL_BYTES) as here:
        engine.missing.add("of b")
        await here.settle("b")
        assert here.loader.table().deployments[("loans", "b")] == Refused(("of b is not in the store",))


async def test_a_rollback_to_a_warm_model_is_done_at_once() -> None:
    async with scene(EchoEngine(), deployment("d1"), models_bytes=2 * MODEL_BYTES) as here:
        await here.after(deployment("d2", command="c2", previous="d1"))
        assert here.in_memory() == ["d1", "d2"]
        here.follower.put(deployment("d1", command="c3", previous="d2"))
        assert here.serves() == "d1"
        assert here.events()[-1] == (EventType.SUCCEEDED, "c3")


class Away(Store):
    """Answers nobody."""

    def get_tuning(self, digest: str, *, machine: str) -> bytes | None:
        raise Unavailable(f"the store that knows {digest} on {machine} does not answer")


class Described(EchoEngine):
    """Its models have manifests."""

    def load(self, digest: str) -> EchoModel:
        some = f"sha256:{'0' * 64}"
        encoder = EncoderManifest(name="e", hidden_size=1, max_tokens=8, files={WEIGHTS: some})
        facts = {"project": "loans", "label": digest, "kind": Kind.ENTITIES, "categories": ["a"], "language": "en"}
        manifest = Manifest.model_validate(
            facts | {"encoder": encoder, "head": some, "plan": Plan(backend="onnx-fp32")}
        )
        return replace(super().load(digest), manifest=manifest)


async def test_a_rollback_to_a_warm_model_asks_the_store_nothing(tmp_path: Path) -> None:
    known = Tuner(Away(f"file://{tmp_path}")).known
    async with scene(Described(), deployment("d1"), models_bytes=2 * MODEL_BYTES, tuning_of=known) as here:
        await here.after(deployment("d2", command="c2", previous="d1"))
        here.follower.put(deployment("d1", command="c3", previous="d2"))
        assert here.serves() == "d1"
        assert here.events()[-1] == (EventType.SUCCEEDED, "c3")
        assert here.failures.empty()


async def test_a_rollback_to_a_warm_model_waits_for_no_other() -> None:
    engine = Gate()
    async with scene(engine, deployment("d1"), models_bytes=3 * MODEL_BYTES) as here:
        await here.after(deployment("d2", command="c2", previous="d1"))
        here.follower.put(deployment("slow", name="other"))
        assert await asyncio.to_thread(engine.asked.wait, 5)
        here.follower.put(deployment("d1", command="c3", previous="d2"))
        assert here.serves() == "d1"
        engine.open.set()


async def test_a_model_that_is_loaded_too_late_does_not_replace_a_newer_one() -> None:
    engine = Gate()
    async with scene(engine, deployment("d1"), models_bytes=3 * MODEL_BYTES) as here:
        here.follower.put(deployment("slow", command="c2", previous="d1"))
        assert await asyncio.to_thread(engine.asked.wait, 5)
        here.follower.put(deployment("d1", command="c3", previous="slow"))
        here.heard.clear()
        engine.open.set()
        await asyncio.wait_for(here.heard.wait(), 5)
        assert here.serves() == "d1"
        assert [event.command_id for event in here.said] == [None, "c3", "c2"]


async def test_the_previous_model_gives_way_before_those_that_are_deployed() -> None:
    engine = Watched()
    async with scene(engine, *deployments("a", "b"), models_bytes=2 * MODEL_BYTES) as here:
        await here.after(deployment("new", name="a", command="c2", previous="of a"))
        await engine.holds("new", "of b")


async def test_the_old_model_serves_while_a_known_one_is_loaded_in_its_place() -> None:
    engine = Gate()
    async with scene(engine, *deployments("a"), models_bytes=MODEL_BYTES) as here:
        here.follower.put(deployment("slow", name="a", command="c2"))
        assert await asyncio.to_thread(engine.asked.wait, 5)
        assert here.serves("a") == "of a"
        engine.open.set()


async def test_whoever_holds_a_model_may_use_it_after_it_was_parked() -> None:
    engine = Watched()
    async with scene(engine, *deployments("a", "b"), models_bytes=MODEL_BYTES) as here:
        held = here.loader.table().deployments[("loans", "a")]
        await here.settle("b")
        here.used("b")
        await engine.holds("of b")
        assert here.serves("a") is None
        assert isinstance(held, Served)
        assert held.model.digest == "of a"


async def test_a_deleted_deployment_leaves_memory() -> None:
    engine = Watched()
    async with scene(engine, *deployments("a", "b"), models_bytes=2 * MODEL_BYTES) as here:
        here.follower.change({"deployment/loans/a": None})
        await engine.holds("of b")
