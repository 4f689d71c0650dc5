"""Tables of what the registry holds."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agents.cli.render.text import duration, moment, short_digest
from agents.cli.theme import grade
from schemas.commands import Rule
from schemas.names import Kind
from schemas.records import DeploymentRecord, JobRecord, JobStatus, ModelRecord, ProjectRecord, RouteRecord

KINDS = {Kind.ENTITIES: "entities", Kind.SINGLE_LABEL: "single-label", Kind.MULTI_LABEL: "multi-label"}

_JOB_STYLES = {JobStatus.SUCCEEDED: "good", JobStatus.FAILED: "bad", JobStatus.CANCELLED: "middling"}


def table(*columns: str) -> Table:
    """Return an empty table in our look. A column whose name begins with ``#`` holds numbers."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        made.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left")
    return made


def projects_table(projects: Iterable[ProjectRecord]) -> Table:
    """Return the projects."""
    made = table("project", "kind", "language", "#documents", "categories", "changed")
    for each in projects:
        language = each.language + (" and others" if each.multilingual else "")
        row = (KINDS[each.kind], language, str(each.n_documents), ", ".join(each.categories))
        made.add_row(Text(each.name, "name"), *row, moment(each.updated_at))
    return made


def models_table(models: Iterable[ModelRecord]) -> Table:
    """Return the models."""
    made = table("project", "model", "#micro F1", "#macro F1", "digest", "trained", "#took")
    for each in models:
        made.add_row(
            Text(each.project, "name"),
            each.label,
            _figure(each.summary.get("microF1")),
            _figure(each.summary.get("macroF1")),
            Text(short_digest(each.digest), "quiet"),
            moment(each.trained_at),
            duration(each.duration_s),
        )
    return made


def _figure(value: float | None) -> Text:
    return Text("", "quiet") if value is None else Text(f"{value:.2f}", grade(value))


def deployments_table(deployments: Iterable[DeploymentRecord]) -> Table:
    """Return the deployments."""
    made = table("project", "deployment", "model", "digest", "before", "since")
    for each in deployments:
        before = each.previous.label if each.previous else ""
        digest = Text(short_digest(each.model.digest), "quiet")
        made.add_row(Text(each.project, "name"), each.name, each.model.label, digest, before, moment(each.deployed_at))
    return made


def jobs_table(jobs: Iterable[JobRecord]) -> Table:
    """Return the jobs, the newest first."""
    made = table("job", "project", "what", "model", "status", "created", "trainer")
    for each in sorted(jobs, key=lambda job: job.created_at, reverse=True):
        what = each.train or each.evaluate
        model = what.model_label if what else ""
        status = Text(each.status.value, _JOB_STYLES.get(each.status, ""))
        made.add_row(
            each.id, Text(each.project, "name"), each.type, model, status, moment(each.created_at), each.trainer
        )
    return made


def routes_table(routes: Iterable[RouteRecord], *, topic: Sequence[str]) -> Table:
    """Return the routes, with the topics they lead to."""
    made = table("project", "route", "deployment", "takes", "topic")
    for each, target in zip(routes, topic, strict=True):
        made.add_row(Text(each.project, "name"), each.name, each.deployment or "all", rule_words(each.rule), target)
    return made


def rule_words(rule: Rule) -> str:
    """Return a rule as people say it."""
    lists = (("any of", rule.any), ("all of", rule.all), ("none of", rule.none))
    words = [f"{how} {', '.join(names)}" for how, names in lists if names] or ["everything"]
    if rule.confidence_at_least:
        words.append(f"confidence at least {rule.confidence_at_least:g}")
    if rule.confidence_below is not None:
        words.append(f"confidence below {rule.confidence_below:g}")
    return "; ".join(words)
