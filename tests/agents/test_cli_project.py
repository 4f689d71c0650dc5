"""``lexstream project show``: what a project is made of, beyond its row in the list."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents import labels
from agents.cli.context import Cli
from agents.cli.main import run
from agents.cli.render.projects import CategoryCount, count_labels
from agents.labels import ProjectLabels
from agents.registry import Registry
from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind
from schemas.records import DeploymentRecord, ModelRecord, ModelReference, ProjectRecord, Record, record_key
from tests.agents.test_cli_jobs import FakeClient

AT = datetime(2026, 1, 5, tzinfo=UTC)
DIGEST = f"sha256:{'1' * 64}"


def project(kind: Kind = Kind.ENTITIES, **more: Any) -> ProjectRecord:
    fields: dict[str, Any] = {"categories": ["Lender", "Date"], "n_documents": 3, "n_labelled": 2}
    return ProjectRecord(name="loans", kind=kind, language="en", created_at=AT, updated_at=AT, **(fields | more))


def document(number: int, *categories: str) -> LabelledDocument:
    found = [EntityLabel(category=category, offset=0, length=1) for category in categories]
    return LabelledDocument(
        project="loans", id=str(number), text="text", regions=[Region(offset=0, length=4, labels=found)]
    )


DOCUMENTS = (document(1, "Lender", "Lender"), document(2, "Lender"), document(3))


def test_each_category_is_counted_in_labels_and_documents_and_none_is_left_out() -> None:
    assert count_labels(project(), DOCUMENTS) == [CategoryCount("Lender", 3, 2), CategoryCount("Date", 0, 0)]
    classes = [LabelledDocument(project="loans", id=name, text="x", classes=["a", "b"]) for name in "12"]
    multi = project(Kind.MULTI_LABEL, categories=["a"])
    assert count_labels(multi, classes) == [CategoryCount("a", 2, 2), CategoryCount("b", 2, 2)]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeClient:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    fake = FakeClient()
    monkeypatch.setattr(Cli, "client", lambda _: fake)

    async def read_labels(*_: object) -> ProjectLabels:
        return ProjectLabels(DOCUMENTS, DIGEST, {})

    monkeypatch.setattr(labels, "read_labels", read_labels)
    return fake


def holding(*records: Record) -> Registry:
    return Registry({record_key(record): record for record in records})


MODEL = ModelRecord(
    project="loans",
    label="v1",
    digest=DIGEST,
    kind=Kind.ENTITIES,
    job_id="1",
    trained_at=AT,
    duration_s=9,
    evaluation=DIGEST,
    summary={"microF1": 0.914, "macroF1": 0.8},
)
LIVE = DeploymentRecord(
    project="loans", name="live", model=ModelReference(label="v1", digest=DIGEST), deployed_at=AT, command_id="1"
)


def test_a_project_is_shown_with_label_counts_scores_and_deployments(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.state = holding(project(description="Who [bold]lends[/bold] what"), MODEL, LIVE)
    assert run(["project", "show", "loans"]) == 0
    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines()]
    assert "3 documents, 2 of them labelled" in said
    assert "Who [bold]lends[/bold] what" in said
    assert ["Lender", "3", "2"] in rows
    assert ["Date", "0", "0"] in rows
    assert any(row[:4] == ["loans", "v1", "0.91", "0.80"] for row in rows)
    assert any(row[:3] == ["loans", "live", "v1"] for row in rows)


def test_a_new_project_says_what_comes_next(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.state = holding(project())
    assert run(["project", "show", "loans"]) == 0
    said = capsys.readouterr().out
    assert "no models yet: lexstream train loans --model LABEL" in said
    assert "no deployments yet: lexstream deploy loans MODEL --deployment NAME" in said


def test_machines_get_the_counts_too(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.state = holding(project(), MODEL)
    assert run(["project", "show", "loans", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["categories"][0] == {"category": "Lender", "labels": 3, "documents": 2}
    assert [each["label"] for each in found["models"]] == ["v1"]
