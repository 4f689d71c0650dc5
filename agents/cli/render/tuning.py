"""How fast a deployed model runs in which way, as tables."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.cli.render.records import table
from agents.cli.render.text import counted, duration, safe, short_digest
from models.plans import Trial, Tuning, Verdict
from schemas.records import DeploymentRecord

_REFERENCE = "torch-fp32"
_STYLES = {
    Verdict.SERVED: "good",
    Verdict.WORSE: "middling",
    Verdict.DIFFERS: "middling",
    Verdict.FAILED: "bad",
}


def tuning_report(record: DeploymentRecord, tunings: Sequence[Tuning]) -> RenderableType:
    """Return a deployment with a table for each machine that its model was tuned on."""
    model = f"{record.model.label} {short_digest(record.model.digest)}"
    head = Text.assemble((f"{record.project}/{record.name}", "name"), " ", (model, "quiet"))
    if not tunings:
        return Group(head, Text("never tuned\n", "quiet"))
    return Group(head, *(part for tuning in tunings for part in (_machine(tuning), trials_table(tuning))))


def trials_table(tuning: Tuning) -> Table:
    """Return what was tried, the plan that serves first."""
    made = table("backend", "#streams x threads", "#micro-batch", "#tokens/s", "#x FP32", "#F1", "#agrees", "verdict")
    reference = tuning.fastest(_REFERENCE)
    for trial in tuning.trials:
        plan = trial.plan
        verdict = Text(trial.verdict.value, _STYLES.get(trial.verdict, "quiet"))
        if trial.reason:
            verdict.append(f": {safe(trial.reason)}", "quiet")
        made.add_row(
            plan.backend, f"{plan.streams} x {plan.threads}", f"{plan.max_padded_tokens:,}", *_speed(trial, reference),
            _share(trial.score), _share(trial.agreement), verdict,
        )  # fmt: skip
    return made


def _machine(tuning: Tuning) -> Text:
    documents = f"{counted(tuning.n_documents, 'document')} with {counted(tuning.n_labels, 'label')}"
    return Text.assemble(
        (safe(str(tuning.machine)), "title"), (f"  {documents}, in {duration(tuning.seconds)}", "quiet")
    )


def _speed(trial: Trial, reference: Trial | None) -> tuple[str, str]:
    if not trial.tokens_per_s:
        return "", ""
    times = f"{trial.tokens_per_s / reference.tokens_per_s:.1f}" if reference else ""
    return f"{trial.tokens_per_s:,.0f}", times


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
