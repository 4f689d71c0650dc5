"""What breaks while a model is tuned: it serves nevertheless, unless the store is away."""

from pathlib import Path

import pytest

from models.manifest import Manifest
from models.plans import Verdict
from models.store import Store
from models.tuning import tuner as tuning_module
from models.tuning.candidates import first_plan
from models.tuning.tuner import Tuner
from schemas.errors import Unavailable
from tests.models.artefacts import make_manifest
from tests.models.tuning.tuner_kit import HERE, NEVER, PATIENT, Counting, tunable


@pytest.mark.parametrize("kept", [b"nonsense", b'{"document": {}}'])
def test_a_tuning_set_that_cannot_be_read_does_not_keep_a_model_from_serving(tmp_path: Path, kept: bytes) -> None:
    store = Store(f"file://{tmp_path}")
    manifest = make_manifest(store, tuning_set=store.put(kept))
    assert Tuner(store).plan_of(manifest) == first_plan("onnx-fp32", HERE)


def test_a_store_that_takes_nothing_does_not_keep_a_model_from_serving(
    fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = fresh

    def away(*_: object, **__: object) -> None:
        raise Unavailable("the store is read-only")

    monkeypatch.setattr(store, "put_tuning", away)
    tuner = Counting(store)
    plan = tuner.plan_of(manifest)
    assert tuner.plan_of(manifest) == plan
    assert tuner.n_measured == 1


@pytest.mark.parametrize("asked", ["possible_backends", "quality_of"])
@pytest.mark.parametrize("error", [ImportError("no such library"), RuntimeError("no such device"), KeyError("x")])
def test_what_breaks_while_a_model_is_tuned_does_not_keep_it_from_serving(
    fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch, asked: str, error: Exception
) -> None:
    store, manifest = fresh

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(tuning_module, asked, broken)
    tuner = Counting(store)
    assert tuner.plan_of(manifest) == first_plan("onnx-fp32", HERE)
    assert tuner.n_measured == 1


def test_a_store_that_goes_away_while_a_model_is_tuned_is_told(
    fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = fresh

    def away(*_: object) -> None:
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(store, "get", away)
    with pytest.raises(Unavailable):
        Tuner(store).plan_of(manifest)


def test_a_store_that_refuses_what_is_missing_does_not_keep_a_model_from_serving(
    fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = fresh

    def refused(*_: object, **__: object) -> None:
        raise Unavailable("the store does not answer: 403 Forbidden")

    monkeypatch.setattr(store, "get_tuning", refused)
    assert Counting(store, limits=NEVER).plan_of(manifest) == first_plan("onnx-fp32", HERE)
    tuner = Counting(store)
    assert tuner.plan_of(manifest) == tuner.plan_of(manifest)
    assert tuner.n_measured == 1


def test_a_cached_tuning_that_cannot_be_read_is_measured_again(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    store.put_tuning(manifest.digest, b"half a fi", machine=HERE.key)
    tuner = Counting(store)
    tuner.plan_of(manifest)
    assert tuner.n_measured == 1


def test_a_graph_that_is_broken_fails_alone(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    whole = tunable(store)
    manifest = whole.model_copy(update={"graphs": whole.graphs | {"onnx-int8": store.put(b"no graph")}})
    tuner = Tuner(store, limits=PATIENT)
    assert tuner.plan_of(manifest).backend != "onnx-int8"
    found = tuner.tuning_of(manifest)
    assert found is not None
    (failed,) = [trial for trial in found.trials if trial.plan.backend == "onnx-int8"]
    assert failed.verdict is Verdict.FAILED
    assert "graph" in failed.reason
