"""Control events as lines that people read."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from rich.text import Text

from agents.cli.render.text import counted, duration, safe, short_digest
from models.plans import SPEED_FROM_BEFORE, Plan, Tuning, Verdict
from schemas.control_events import ControlEvent, EventType

REFERENCE = "torch-fp32"
_SECONDS = frozenset({"seconds", "durationS", "remainingS"})
_NEWLY_TAKEN = " (the first since a worker took the partition)"
_STYLES = {
    EventType.SUCCEEDED: "good",
    EventType.FAILED: "bad",
    EventType.REJECTED: "bad",
    EventType.CANCELLED: "middling",
    EventType.SWITCHED: "name",
}


def event_line(event: ControlEvent) -> Text:
    """Return one line for a control event."""
    return Text.assemble(
        (f"{event.at.astimezone():%H:%M:%S} ", "quiet"),
        (f"{event.project:<12} ", "name"),
        (f"{event.event.value:<10} ", _STYLES.get(event.event, "")),
        safe(_details(event)),
    )


def switched_words(event: ControlEvent) -> str:
    """Return which model answers from which offset on."""
    details = event.details
    before = f" instead of {short_digest(str(details['from']))}" if details.get("from") else _NEWLY_TAKEN
    place = f"{details.get('topic')}/{details.get('partition')}@{details.get('offset')}"
    return f"{details.get('deployment')}: {short_digest(str(details.get('to')))} answers from {place} on{before}"


def loaded_words(seconds: float) -> str:
    """Return how long a model took to load; what was in memory already took nothing."""
    return f"loaded in {duration(seconds)}" if seconds > 0 else "which was loaded already"


def plan_words(plan: Plan) -> str:
    """Return a plan as people say it: backend, streams and threads of each."""
    return f"{plan.backend} {plan.streams}x{plan.threads}"


def tuning_words(tuning: Tuning) -> str:
    """Return what came of a tuning: the plan, how much faster than FP32 it is, and how many plans were tried."""
    tried = [trial for trial in tuning.trials if trial.verdict is not Verdict.SKIPPED]
    speeds = [trial.tokens_per_s for trial in tried if trial.plan == tuning.plan and trial.tokens_per_s > 0]
    reference = tuning.fastest(REFERENCE)
    words = [plan_words(tuning.plan)]
    if speeds and reference and tuning.plan.backend != REFERENCE:
        words.append(f"{speeds[0] / reference.tokens_per_s:.1f}x FP32")
    words.append(f"{counted(len(tried), 'plan')} tried")
    if before := sum(trial.reason == SPEED_FROM_BEFORE for trial in tried):
        words.append(f"{before} of them for another model")
    return ", ".join(words)


def _details(event: ControlEvent) -> str:
    details = event.details
    if event.event is EventType.SWITCHED:
        return switched_words(event)
    if problems := details.get("problems"):
        at_start = "at a start: " if details.get("atStart") else ""
        return at_start + "; ".join(map(str, problems))
    if "worker" in details and "deployment" in details:
        return _served(details)
    return " ".join(_pairs(details))


def _served(details: Mapping[str, Any]) -> str:
    model = details.get("model")
    named = f"{model.get('label')} {short_digest(str(model.get('digest')))}" if isinstance(model, dict) else "a model"
    verb = "serves again after a start:" if details.get("atStart") else "answers with"
    seconds = details.get("seconds")
    loaded = f", {loaded_words(seconds)}" if isinstance(seconds, int | float) else ""
    told = {name: details[name] for name in ("backend", "plan", "tuning", "worker") if name in details}
    return "; ".join([f"{details['deployment']} {verb} {named}{loaded}", *_pairs(told)])


def _pairs(details: Mapping[str, Any]) -> list[str]:
    """Return names and values; what one of them says another one need not repeat."""
    needless = set()
    if isinstance(plan := details.get("plan"), dict):
        needless.add("backend")
        if isinstance(tuning := details.get("tuning"), dict) and tuning.get("plan") == plan:
            needless.add("plan")
    told = {name: value for name, value in details.items() if value is not None and name not in needless}
    return [f"{name} {_value(name, value)}" for name, value in told.items()]


def _value(name: str, value: object) -> str:
    try:
        if name == "tuning":
            return tuning_words(Tuning.model_validate(value))
        if name == "plan":
            return plan_words(Plan.model_validate(value))
    except ValidationError:  # by another version
        return _short(value)
    if name in _SECONDS and isinstance(value, int | float):
        return duration(value)
    return _short(value)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return " ".join(f"{name}={_short(each)}" for name, each in value.items())
    if isinstance(value, list):
        return f"[{len(value)}]"
    text = str(value)
    return short_digest(text) if text.startswith("sha256:") else text
