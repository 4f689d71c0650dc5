"""How fast a deployed model runs in which way, as tables."""

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.cli.overrides import Override
from agents.cli.render.events import REFERENCE, plan_words
from agents.cli.render.records import table
from agents.cli.render.text import counted, duration, safe, short_digest
from models.plans import SPEED_FROM_BEFORE, Trial, Tuning, Verdict
from schemas.records import DeploymentRecord

_FEW_LABELS: Final = 50
_DOUBT: Final = 0.05
_STYLES = {
    Verdict.SERVED: "good",
    Verdict.WORSE: "middling",
    Verdict.DIFFERS: "middling",
    Verdict.FAILED: "bad",
}
Found = tuple[Tuning, Sequence[Override]]
"""A tuning, and what of our settings keeps its plan from serving."""


def tuning_report(record: DeploymentRecord, found: Sequence[Found]) -> RenderableType:
    """Return a deployment with a table for each machine that its model was tuned on."""
    model = f"{record.model.label} {short_digest(record.model.digest)}"
    head = Text.assemble((f"{record.project}/{record.name}", "name"), " ", (model, "quiet"))
    if not found:
        return Group(head, Text("never tuned\n", "quiet"))
    return Group(head, *(part for tuning, overrides in found for part in _parts(tuning, overrides)))


def trials_table(tuning: Tuning) -> Table:
    """Return what was tried, the plan that serves first."""
    made = table("backend", "#streams x threads", "#micro-batch", "#tokens/s", "#x FP32", "#F1", "#agrees", "verdict")
    reference = tuning.fastest(REFERENCE)
    for trial in tuning.trials:
        plan = trial.plan
        made.add_row(
            plan.backend, f"{plan.streams} x {plan.threads}", f"{plan.max_padded_tokens:,}", *_speed(trial, reference),
            _share(trial.score), _share(trial.agreement), _verdict(trial),
        )  # fmt: skip
    return made


def few_labels_words(n_labels: int) -> str:
    """Return how little agreement on so few labels proves; nothing if they are not few.

    If a share p of all answers differed, none of n would with a probability of (1 - p)^n.
    """
    if not 0 < n_labels < _FEW_LABELS:
        return ""
    unseen = 1 - _DOUBT ** (1 / n_labels)
    return (
        f"{counted(n_labels, 'label')} prove{'s' if n_labels == 1 else ''} little: even if all answers to them agree, "
        f"up to {unseen:.0%} of others may differ (at 95 % confidence)"
    )


def override_words(override: Override, tuning: Tuning) -> str:
    """Return which setting keeps the tuning's plan from serving, and what serves instead."""
    words = f"overridden by the setting {override.setting}={override.value} ({override.origin}), where workers have it"
    if override.setting == "threads":
        return f"{words}: this was measured with {tuning.machine.cpus}, so it does not count there"
    instead = plan_words(override.plan) if override.plan else f"{override.value}, which was not measured,"
    return f"{words}: {instead} serves instead of {plan_words(tuning.plan)}"


def _parts(tuning: Tuning, overrides: Sequence[Override]) -> list[RenderableType]:
    documents = f"{counted(tuning.n_documents, 'document')} with {counted(tuning.n_labels, 'label')}"
    machine = Text.assemble(
        (safe(str(tuning.machine)), "title"), (f"  {documents}, in {duration(tuning.seconds)}", "quiet")
    )
    notes = [Text(safe(override_words(each, tuning)), "middling") for each in overrides]
    if few := few_labels_words(tuning.n_labels):
        notes.append(Text(few, "quiet"))
    if any(trial.reason == SPEED_FROM_BEFORE for trial in tuning.trials):
        notes.append(Text(f"* {SPEED_FROM_BEFORE}", "quiet"))
    return [machine, *notes, trials_table(tuning)]


def _verdict(trial: Trial) -> Text:
    verdict = Text(trial.verdict.value, _STYLES.get(trial.verdict, "quiet"))
    if trial.reason == SPEED_FROM_BEFORE:
        verdict.append(" *", "quiet")
    elif trial.reason:
        verdict.append(f": {safe(trial.reason)}", "quiet")
    return verdict


def _speed(trial: Trial, reference: Trial | None) -> tuple[str, str]:
    if not trial.tokens_per_s:
        return "", ""
    times = f"{trial.tokens_per_s / reference.tokens_per_s:.1f}" if reference else ""
    return f"{trial.tokens_per_s:,.0f}", times


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
