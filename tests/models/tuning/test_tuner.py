"""A model is tuned once a machine, and what is known serves."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.manifest import WEIGHTS, Manifest
from models.plans import Machine, Plan, Trial, Tuning, Verdict
from models.store import Store
from models.tuning import tuner as tuning_module
from models.tuning.candidates import first_plan
from models.tuning.machine import this_machine
from models.tuning.measure import Bench
from models.tuning.tuner import Tuner
from tests.models.artefacts import make_manifest
from tests.models.tuning.tuner_kit import HERE, NEVER, PATIENT, TEXTS, Counting, tunable

ELSEWHERE = HERE.model_copy(update={"processor": "another"})


def tuned_at(machine: Machine, backend: str = "onnx-int8") -> Tuning:
    plan = Plan(backend=backend, streams=3, max_padded_tokens=777)
    return Tuning(machine=machine, plan=plan, trials=[Trial(plan=plan, tokens_per_s=5, verdict=Verdict.SERVED)])


def test_a_model_is_tuned_in_time_and_the_result_is_remembered(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store, limits=PATIENT)
    assert tuner.tuning_of(manifest) is None
    plan = tuner.plan_of(manifest)
    found = tuner.tuning_of(manifest)
    assert found is not None
    assert found.plan == plan
    assert found.machine == HERE
    assert found.n_documents == len(TEXTS)
    served = [trial for trial in found.trials if trial.verdict is Verdict.SERVED]
    assert [trial.plan for trial in served] == [plan]
    assert served[0].tokens_per_s > 0
    assert served[0].agreement is not None
    assert served[0].agreement >= 0.99
    verdicts = {trial.plan.backend: trial.verdict for trial in found.trials}
    assert verdicts["onnx-int8"] is Verdict.DIFFERS  # random weights are no friends of INT8
    again = Counting(store)
    assert tuner.plan_of(manifest) == again.plan_of(manifest) == plan
    assert (tuner.n_measured, again.n_measured) == (1, 0)


def test_what_is_known_is_told_without_the_store(
    fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = fresh
    tuner = Counting(store)
    tuner.plan_of(manifest)
    found = tuner.tuning_of(manifest)

    def away(*_: object, **__: object) -> None:
        raise AssertionError("the store was asked")

    for name in ("get_tuning", "get", "put_tuning"):
        monkeypatch.setattr(store, name, away)
    assert found is not None
    assert tuner.known(manifest) == found
    assert Tuner(store).known(manifest) is None
    assert Tuner(store).known(manifest.model_copy(update={"tuning": tuned_at(HERE)})) == tuned_at(HERE)
    assert Tuner(store).known(manifest.model_copy(update={"tuning": tuned_at(ELSEWHERE)})) is None


def test_what_was_tuned_at_training_on_this_machine_holds(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store)
    here = manifest.model_copy(update={"tuning": tuned_at(HERE)})
    assert tuner.plan_of(here) == tuned_at(HERE).plan
    assert tuner.n_measured == 0


def test_what_was_tuned_elsewhere_is_tuned_again_here(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store)
    elsewhere = manifest.model_copy(update={"tuning": tuned_at(ELSEWHERE)})
    assert tuner.plan_of(elsewhere).max_padded_tokens != 777
    assert tuner.n_measured == 1
    store._forget_tunings(elsewhere.digest)


def test_the_second_model_of_an_encoder_is_only_judged(
    fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = fresh
    patient = Tuner(store, limits=PATIENT)
    plan = patient.plan_of(manifest)
    opened: list[Plan] = []

    class Noted(Bench):
        def __init__(self, of: Manifest, plan: Plan, texts: Sequence[str], **facts: object) -> None:
            opened.append(plan)
            super().__init__(of, plan, texts, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning_module, "Bench", Noted)
    other = tunable(store, label="v2")
    assert patient.plan_of(other) == plan
    assert len({each.backend for each in opened}) == len(opened) <= 2
    store._forget_tunings(other.digest)


def test_a_backend_that_is_set_serves_in_its_best_known_shape(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store, backend="onnx-int8")
    assert tuner.plan_of(manifest) == first_plan("onnx-int8", HERE)
    known = manifest.model_copy(update={"tuning": tuned_at(HERE)})
    assert tuner.plan_of(known) == first_plan("onnx-int8", HERE), "the encoder is loaded twice"
    other = Counting(store, backend="onnx-int8")
    assert other.plan_of(known) == tuned_at(HERE).plan
    assert Counting(store, backend="onnx-fp32").plan_of(known) == first_plan("onnx-fp32", HERE)
    assert tuner.n_measured == other.n_measured == 0


def judged(served: Plan, *others: tuple[Plan, Verdict]) -> Tuning:
    """A table of which everything was looked at."""
    trials = [
        Trial(plan=plan, tokens_per_s=5, score=0.9, agreement=1.0, verdict=verdict)
        for plan, verdict in ((served, Verdict.SERVED), *others)
    ]
    return Tuning(machine=HERE, plan=served, trials=trials)


WIDE = Plan(backend="onnx-int8", streams=3, max_padded_tokens=777)
NARROW = Plan(backend="onnx-int8", streams=1, max_padded_tokens=256)
EXACT = Plan(backend="onnx-fp32", streams=2)


@pytest.mark.parametrize(
    ("first", "second", "plans"),
    [
        (judged(WIDE), judged(NARROW), (WIDE, WIDE)),
        (judged(EXACT), judged(WIDE, (EXACT, Verdict.SLOWER)), (EXACT, EXACT)),
        (judged(EXACT), judged(WIDE, (EXACT, Verdict.FAILED)), (EXACT, WIDE)),
        (judged(WIDE), judged(EXACT, (NARROW, Verdict.WORSE)), (WIDE, EXACT)),
        (judged(WIDE), judged(EXACT, (NARROW, Verdict.DIFFERS)), (WIDE, EXACT)),
    ],
)
def test_models_of_one_encoder_share_its_plan_where_it_is_good_for_both(
    fresh: tuple[Store, Manifest], first: Tuning, second: Tuning, plans: tuple[Plan, Plan]
) -> None:
    store, manifest = fresh
    tuner = Counting(store)
    models = [
        manifest.model_copy(update={"label": str(at), "tuning": found}) for at, found in enumerate((first, second))
    ]
    assert tuple(map(tuner.plan_of, models)) == plans
    assert tuple(map(tuner.plan_of, models)) == plans
    assert tuner.n_measured == 0


def test_models_of_different_encoders_keep_their_plans(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store)
    files = manifest.encoder.files | {WEIGHTS: manifest.head}
    other = manifest.model_copy(update={"encoder": manifest.encoder.model_copy(update={"files": files})})
    assert tuner.plan_of(manifest.model_copy(update={"tuning": judged(WIDE)})) == WIDE
    assert tuner.plan_of(other.model_copy(update={"tuning": judged(NARROW)})) == NARROW


def test_nothing_is_measured_once_the_process_serves(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store)
    tuner.begin_to_serve()
    assert tuner.plan_of(manifest) == first_plan("onnx-fp32", HERE)
    assert (tuner.n_measured, tuner.known(manifest)) == (0, None)
    again = Counting(store)
    again.plan_of(manifest)
    assert again.n_measured == 1
    later = Counting(store)
    later.begin_to_serve()
    assert later.plan_of(manifest) == again.plan_of(manifest)


PLAIN = Machine(processor="no BF16, no GPU", cpus=2, features=["avx2"])


@pytest.mark.parametrize(
    ("trained", "good", "expected"),
    [
        ("onnx-int8", (), "onnx-int8"),
        ("torch-bf16", ("onnx-int8",), "onnx-int8"),
        ("openvino-bf16", (), "openvino-fp32"),
        ("openvino-bf16", ("onnx-int8", "openvino-fp32"), "onnx-int8"),
        ("torch-fp32", (), "openvino-fp32"),
    ],
)
def test_a_plan_of_another_machine_is_fitted_to_this_one(
    fresh: tuple[Store, Manifest], trained: str, good: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = fresh
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    elsewhere = judged(Plan(backend=trained), *((Plan(backend=name), Verdict.SLOWER) for name in good))
    plans = {"plan": Plan(backend=trained), "tuning": elsewhere.model_copy(update={"machine": ELSEWHERE})}
    tuner = Tuner(store, machine=PLAIN, limits=NEVER)
    assert tuner.plan_of(manifest.model_copy(update=plans)) == first_plan(expected, PLAIN)


def test_torch_serves_where_nothing_else_can(fresh: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    store, manifest = fresh
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    bare = manifest.model_copy(update={"plan": Plan(backend="torch-bf16"), "graphs": {}})
    assert Tuner(store, machine=PLAIN, limits=NEVER).plan_of(bare) == first_plan("torch-fp32", PLAIN)


def test_without_measuring_the_backend_of_the_training_serves(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    tuner = Counting(store, limits=NEVER)
    assert tuner.plan_of(manifest) == first_plan("onnx-fp32", HERE)
    assert tuner.n_measured == 0
    here = manifest.model_copy(update={"tuning": tuned_at(HERE)})
    assert Counting(store, limits=NEVER).plan_of(here) == tuned_at(HERE).plan


def test_a_model_without_held_out_documents_is_not_measured(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    tuner = Counting(store)
    assert tuner.plan_of(make_manifest(store)) == first_plan("onnx-fp32", HERE)
    assert tuner.n_measured == 0


def test_another_number_of_processors_is_another_machine(fresh: tuple[Store, Manifest]) -> None:
    store, manifest = fresh
    here = manifest.model_copy(update={"tuning": tuned_at(HERE)})
    fewer = Tuner(store, limits=NEVER, machine=this_machine(HERE.cpus + 1))
    assert fewer.tuning_of(here) is None


def test_a_worker_tunes_without_torch(made: tuple[Store, Manifest]) -> None:
    store, manifest = made
    script = """
import sys
from models.store import Store
from models.tuning.tuner import Tuner
from models.tuning.search import Limits
store = Store(sys.argv[1])
manifest = store.load_manifest(sys.argv[2])
tuner = Tuner(store, limits=Limits(budget_s=0.5, round_s=0.01))
assert tuner.plan_of(manifest).backend.split("-")[0] in {"onnx", "openvino"}
heavy = {"torch", "transformers", "sklearn", "scipy", "onnx", "jinja2"} & set(sys.modules)
assert not heavy, heavy
"""
    digest = store.save_manifest(manifest)
    subprocess.run([sys.executable, "-c", script, store.url, digest], check=True)
    store.delete_model(digest, keep=())
