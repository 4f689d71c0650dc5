"""Control events as lines that people read."""

from typing import Any

from agents.cli.deployments import served_words
from agents.cli.render.events import event_line, tuning_words
from models.plans import SPEED_FROM_BEFORE, Machine, Plan, Trial, Tuning, Verdict
from schemas.control_events import ControlEvent, EventType

PLAN = Plan(backend="openvino-int8", streams=2)
FP32 = Plan(backend="torch-fp32", threads=2)


def tuning(*, reason: str = "") -> Tuning:
    return Tuning(
        machine=Machine(processor="x", cpus=2),
        plan=PLAN,
        trials=[
            Trial(plan=PLAN, tokens_per_s=3400, verdict=Verdict.SERVED, reason=reason),
            Trial(plan=FP32, tokens_per_s=1000, verdict=Verdict.SLOWER),
            Trial(plan=Plan(backend="onnx-fp32"), verdict=Verdict.SKIPPED),
        ],
    )


def said(event: EventType = EventType.SUCCEEDED, **details: Any) -> str:
    return event_line(ControlEvent(project="loans", event=event, details=details)).plain


def deployed(**more: Any) -> dict[str, Any]:
    model = {"label": "v1", "digest": "sha256:" + "1" * 64}
    plan = {"backend": PLAN.backend, "plan": PLAN.payload(), "tuning": tuning().payload()}
    return {"worker": "w1", "deployment": "production", "model": model, "seconds": 0.34, **plan, **more}


def test_a_deployment_is_one_readable_line() -> None:
    line = said(**deployed())
    assert line.endswith(
        "succeeded  production answers with v1 1111111111, loaded in 340 ms; "
        "tuning openvino-int8 2x1, 3.4x FP32, 2 plans tried; worker w1"
    )


def test_a_plan_that_is_not_the_tunings_is_told() -> None:
    assert "plan torch-fp32 1x2; tuning openvino-int8 2x1" in said(**deployed(backend="x", plan=FP32.payload()))


def test_a_worker_that_starts_serves_again() -> None:
    for event in (EventType.PROGRESS, EventType.SUCCEEDED):
        line = said(event, **deployed(atStart=True, stage="serves"))
        assert "production serves again after a start: v1 1111111111, loaded in 340 ms" in line
    assert said(EventType.REJECTED, worker="w1", atStart=True, problems=["damaged"]).endswith("at a start: damaged")


def test_what_is_below_a_second_is_told_in_milliseconds() -> None:
    assert "seconds 4 ms" in said(seconds=0.004)
    assert "durationS 2 min 05 s" in said(durationS=125.2)
    rolled_back = ControlEvent(project="loans", event=EventType.SUCCEEDED, details=deployed(seconds=0.012))
    assert served_words(rolled_back).endswith("answers with v1 on openvino-int8, loaded in 12 ms")
    at_once = ControlEvent(project="loans", event=EventType.SUCCEEDED, details=deployed(seconds=0.0))
    assert served_words(at_once).endswith("which was loaded already")
    assert "v1 1111111111, which was loaded already" in event_line(at_once).plain


def test_a_tuning_tells_what_another_model_taught() -> None:
    assert tuning_words(tuning(reason=SPEED_FROM_BEFORE)).endswith("2 plans tried, 1 of them for another model")
    alone = Tuning(machine=Machine(processor="x", cpus=1), plan=PLAN)
    assert tuning_words(alone) == "openvino-int8 2x1, 0 plans tried"


def test_details_of_another_version_are_shown_all_the_same() -> None:
    line = said(worker="w1", deployment="d", model="v1", seconds="soon", plan={"engine": 1}, tuning=["a"])
    assert "d answers with a model; plan engine=1; tuning [1]; worker w1" in line
    assert "stage training fraction 0.31" in said(EventType.PROGRESS, stage="training", fraction=0.3123, loss=None)
