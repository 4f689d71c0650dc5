"""What becomes of projects and their labels by commands."""

from agents.control.decide import decide
from agents.control.decision import Labels
from agents.control.projects import Import
from schemas.commands import ImportLabelsCommand
from schemas.control_events import EventType
from schemas.labels import LabelledDocument
from schemas.names import Kind
from schemas.records import JobStatus, ProjectRecord, record_key
from tests.agents.control.decide_kit import (
    AT,
    FULL,
    ONE,
    THREE,
    TWO,
    command,
    events,
    job,
    model,
    problems,
    project,
    state,
)


def test_a_project_is_made_as_it_was_asked_for() -> None:
    decision = decide(
        state(),
        command("createProject", kind="CustomSingleLabelClassification", language="de", categories=["a"]),
        at=AT,
    )
    made = decision.changes["project/loans"]
    assert isinstance(made, ProjectRecord)
    assert (made.kind, made.language, made.categories) == (Kind.SINGLE_LABEL, "de", ["a"])
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]


def test_a_new_project_does_not_inherit_what_a_late_trainer_wrote() -> None:
    decision = decide(state(model("v1", ONE)), command("createProject", kind="CustomEntityRecognition"), at=AT)
    assert decision.changes["model/loans/v1"] is None
    assert decision.garbage.models == (ONE,)


def test_deleting_a_project_takes_everything_of_it_and_nothing_else() -> None:
    other = model("v1", ONE, name="tickets")
    registry = FULL.after({"job/job-9": job(JobStatus.RUNNING), record_key(other): other})
    decision = decide(registry, command("deleteProject"), at=AT)
    after = registry.after(decision.changes)
    assert set(after.records) == {"project/tickets", "model/tickets/v1", "command/deleteProject-1"}
    assert decision.labels.everything
    assert decision.garbage.models == (TWO,), "the other project still has the first model"
    assert events(decision) == [EventType.ACCEPTED, EventType.CANCELLED, EventType.SUCCEEDED]
    assert decision.events[1].command_id == "job-9"


def test_an_import_replaces_labels_and_project_and_drops_the_bundle() -> None:
    after = project(categories=["Date"], n_documents=1, n_labelled=1)
    labels = Labels(documents=[LabelledDocument(project="loans", id="a.txt", text="x")], removed=["b.txt"])
    given_ = command("importLabels", bundle=THREE)
    assert isinstance(given_, ImportLabelsCommand)
    decision = decide(FULL, given_, at=AT, imported=Import(project=after, labels=labels, warnings=("odd",)))
    assert decision.changes["project/loans"] == after
    assert decision.labels == labels
    assert decision.garbage.blobs == (THREE,)
    assert decision.events[-1].details["removed"] == 1
    assert decision.events[-1].details["warnings"] == ["odd"]


def test_an_import_with_problems_is_refused_whole() -> None:
    imported = Import(problems=("documents[0]: bad", "documents[1]: bad"))
    decision = decide(FULL, command("importLabels", bundle=THREE), at=AT, imported=imported)
    assert problems(decision) == ["documents[0]: bad", "documents[1]: bad"]
