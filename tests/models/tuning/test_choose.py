from dataclasses import replace

import pytest

from models.plans import Plan, Trial, Verdict
from models.tuning.choose import (
    FEWEST_FINDINGS,
    SAME,
    TELLING_LABELS,
    TOLERATED_LOSS,
    Attempt,
    Quality,
    best,
    good_backends,
    is_telling,
    trials_of,
    trusted,
)

FP32 = Plan(backend="torch-fp32")
BF16 = Plan(backend="openvino-bf16")
INT8 = Plan(backend="onnx-int8")
WIDE = INT8.model_copy(update={"streams": 2})
EXACT = Quality(score=0.9, reference=0.9, agreement=1.0, n_labels=24)


def quality(score: float, *, agreement: float = 1.0, n_labels: int = TELLING_LABELS) -> Quality:
    return Quality(score=score, reference=0.9, agreement=agreement, n_labels=n_labels)


@pytest.mark.parametrize(
    ("found", "good"),
    [
        (quality(0.9), True),
        (quality(0.9 - TOLERATED_LOSS + 1e-9), True),
        (quality(0.9 - 2 * TOLERATED_LOSS), False),
        (quality(0.92, agreement=0.5), True),
        (quality(0.9, agreement=SAME, n_labels=TELLING_LABELS - 1), True),
        (quality(0.95, agreement=SAME - 0.001, n_labels=TELLING_LABELS - 1), False),
        (quality(0.8, agreement=1.0, n_labels=3), False),
        (replace(EXACT, telling=False), False),
    ],
)
def test_what_may_serve_is_as_good_as_fp32_or_says_the_same_where_labels_are_few(found: Quality, good: bool) -> None:
    assert found.good is good


@pytest.mark.parametrize(
    ("n_findings", "complete", "telling"),
    [
        (FEWEST_FINDINGS, False, True),
        (FEWEST_FINDINGS - 1, False, False),
        (FEWEST_FINDINGS - 1, True, True),
        (0, True, False),
    ],
)
def test_few_findings_tell_nothing_unless_all_documents_were_asked(
    n_findings: int, complete: bool, telling: bool
) -> None:
    assert is_telling(n_findings=n_findings, complete=complete) is telling


@pytest.mark.parametrize(
    ("backend", "good"),
    [
        ("onnx-fp32", True),
        ("openvino-fp32", True),
        ("onnx-int8", False),
        ("openvino-bf16", True),
        ("torch-bf16", False),
    ],
)
def test_only_fp32_and_the_backend_of_the_training_serve_without_proof(backend: str, good: bool) -> None:
    unproven = replace(EXACT, telling=False)
    assert trusted(unproven, backend=backend, trained_on="openvino-bf16").good is good
    differs = replace(unproven, agreement=0.5)
    assert not trusted(differs, backend=backend, trained_on="openvino-bf16").good


def test_a_backend_without_proof_is_told_as_such() -> None:
    (_, trial) = trials_of([Attempt(INT8, 30)], {"onnx-int8": replace(EXACT, telling=False)}, served=FP32, skipped={})
    assert trial.verdict is Verdict.DIFFERS
    assert "too little" in trial.reason


def test_the_fastest_that_is_good_is_the_best() -> None:
    attempts = [Attempt(FP32, 10), Attempt(BF16, 20), Attempt(INT8, 30), Attempt(WIDE, 40, error="no memory")]
    bad = quality(0.8)
    assert best(attempts, {"torch-fp32": EXACT, "openvino-bf16": EXACT, "onnx-int8": bad}) == attempts[1]
    assert best(attempts, {"torch-fp32": EXACT, "onnx-int8": EXACT}) == attempts[2]
    assert best(attempts, {"onnx-int8": bad}) is None
    assert best(attempts, {}) is None


def test_the_best_round_counts() -> None:
    attempt = Attempt(FP32).after(tokens_per_s=5, documents_per_s=1).after(tokens_per_s=7, documents_per_s=2)
    assert attempt.after(tokens_per_s=6, documents_per_s=3) == Attempt(FP32, 7, 2, rounds=3)


def test_each_plan_has_a_verdict() -> None:
    attempts = [
        Attempt(FP32, 10),
        Attempt(BF16, 20),
        Attempt(INT8, 30),
        Attempt(WIDE, error="no memory"),
        Attempt(Plan(backend="torch-bf16"), 50),
        Attempt(Plan(backend="onnx-fp32"), 1),
    ]
    qualities = {
        "torch-fp32": EXACT,
        "openvino-bf16": EXACT,
        "onnx-int8": quality(0.9, agreement=0.9, n_labels=5),
        "torch-bf16": quality(0.8),
    }
    skipped = {Plan(backend="openvino-fp32"): "no time was left"}
    found = trials_of(attempts, qualities, served=BF16, skipped=skipped)
    assert [(trial.plan.backend, trial.verdict) for trial in found] == [
        ("openvino-bf16", Verdict.SERVED),
        ("torch-bf16", Verdict.WORSE),
        ("onnx-int8", Verdict.DIFFERS),
        ("torch-fp32", Verdict.SLOWER),
        ("onnx-fp32", Verdict.SLOWER),
        ("onnx-int8", Verdict.FAILED),
        ("openvino-fp32", Verdict.SKIPPED),
    ]
    assert [trial.reason for trial in found] == ["", "", "", "", "", "no memory", "no time was left"]
    assert [trial.score for trial in found] == [0.9, 0.8, 0.9, 0.9, None, 0.9, None]


def test_a_plan_that_serves_without_being_measured_is_in_the_table_once() -> None:
    found = trials_of([Attempt(INT8, 30)], {"onnx-int8": quality(0.1)}, served=FP32, skipped={FP32: "no time was left"})
    assert [(trial.plan, trial.verdict) for trial in found] == [(FP32, Verdict.SERVED), (INT8, Verdict.WORSE)]
    assert "not measured" in found[0].reason


def test_what_serves_in_spite_of_an_error_is_told_to_serve() -> None:
    (trial,) = trials_of([Attempt(FP32, error="no memory")], {}, served=FP32, skipped={})
    assert (trial.verdict, trial.reason) == (Verdict.SERVED, "no memory")


@pytest.mark.parametrize(
    ("verdict", "agreement", "good"),
    [
        (Verdict.SERVED, None, True),
        (Verdict.SLOWER, 1.0, True),
        (Verdict.SLOWER, None, False),
        (Verdict.WORSE, 1.0, False),
        (Verdict.DIFFERS, 0.9, False),
        (Verdict.FAILED, 1.0, False),
        (Verdict.SKIPPED, None, False),
    ],
)
def test_a_backend_is_good_if_it_serves_or_was_judged(verdict: Verdict, agreement: float | None, good: bool) -> None:
    assert ("onnx-int8" in good_backends([Trial(plan=INT8, agreement=agreement, verdict=verdict)])) is good


def test_a_backend_that_failed_in_one_shape_is_not_good_in_every_shape() -> None:
    trials = [Trial(plan=INT8, agreement=1.0, verdict=Verdict.SLOWER), Trial(plan=WIDE, verdict=Verdict.FAILED)]
    assert good_backends(trials) == frozenset()
    assert good_backends(trials[:1]) == {"onnx-int8"}


def test_what_is_faster_but_was_not_asked_for_lack_of_time_is_not_called_slower() -> None:
    attempts = [Attempt(FP32, 10), Attempt(INT8, 30, from_before=True), Attempt(BF16, 5, from_before=True)]
    found = trials_of(attempts, {"torch-fp32": EXACT}, served=FP32, skipped={})
    told = {trial.plan: (trial.verdict, trial.tokens_per_s) for trial in found}
    assert told == {FP32: (Verdict.SERVED, 10), INT8: (Verdict.SKIPPED, 30), BF16: (Verdict.SLOWER, 5)}
    assert "no time was left" in found[1].reason
