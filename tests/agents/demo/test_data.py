"""The demo's sample data: complete, in Azure's format, labels on their text, events that can be published."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.documents import DocumentEvent

DATA = Path(__file__).parents[3] / "agents" / "demo" / "data"
PROJECTS = {
    "leases": ("CustomEntityRecognition", 48),
    "tickets": ("CustomSingleLabelClassification", 120),
    "notices": ("CustomMultiLabelClassification", 100),
}


def labels(project: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / project / "labels.json").read_text(encoding="utf-8"))
    return content


def text(project: str, location: str) -> str:
    return (DATA / project / "documents" / location).read_bytes().decode()


def stream(project: str) -> list[DocumentEvent]:
    lines = (DATA / project / "stream.jsonl").read_text(encoding="utf-8").splitlines()
    return [DocumentEvent.model_validate_json(line) for line in lines]


@pytest.mark.parametrize("project", PROJECTS)
def test_each_document_is_there_once_and_labelled(project: str) -> None:
    kind, n_documents = PROJECTS[project]
    content = labels(project)
    locations = [document["location"] for document in content["assets"]["documents"]]
    assert (content["metadata"]["projectKind"], content["projectFileVersion"]) == (kind, "2022-05-01")
    assert sorted(locations) == sorted(path.name for path in (DATA / project / "documents").iterdir())
    assert len({text(project, location) for location in locations}) == n_documents


def test_every_label_begins_and_ends_on_a_word() -> None:
    found: dict[str, list[str]] = {}
    for document in labels("leases")["assets"]["documents"]:
        units = text("leases", document["location"]).encode("utf-16-le")
        (region,) = document["entities"]
        assert (region["regionOffset"], region["regionLength"] * 2) == (0, len(units))
        for label in region["labels"]:
            start, end = label["offset"] * 2, (label["offset"] + label["length"]) * 2
            before, after = units[:start].decode("utf-16-le"), units[end:].decode("utf-16-le")
            assert not before[-1:].isalnum()
            assert not after[:1].isalnum()
            found.setdefault(label["category"], []).append(units[start:end].decode("utf-16-le"))
    assert {category: len(spans) >= 40 for category, spans in found.items()} == dict.fromkeys(found, True)
    assert len(found) == 6
    assert all(any(c.isdigit() for c in span) for span in [*found["Rent"], *found["Deposit"], *found["StartDate"]])
    assert not any(c.isdigit() for span in [*found["Tenant"], *found["Landlord"]] for c in span)


@pytest.mark.parametrize("project", ["tickets", "notices"])
def test_every_class_has_twenty_documents_or_more(project: str) -> None:
    assets = labels(project)["assets"]
    given = [d["classes"] if "classes" in d else [d["class"]] for d in assets["documents"]]
    counts = {c["category"]: sum(c in classes for classes in given) for c in assets["classes"]}
    assert len(counts) == 5
    assert min(counts.values()) >= 20
    assert {len(classes) for classes in given} == ({1} if project == "tickets" else {1, 2, 3})


@pytest.mark.parametrize("project", PROJECTS)
def test_the_stream_asks_for_production_and_repeats_no_labelled_text(project: str) -> None:
    events = stream(project)
    labelled = {text(project, document["location"]) for document in labels(project)["assets"]["documents"]}
    assert len({event.id for event in events}) == len(events) >= 40
    assert {str(task) for event in events for task in event.tasks} == {f"{project}/production"}
    assert not labelled & {event.text for event in events}


def test_the_hard_characters_are_in_it() -> None:
    texts = [text("leases", document["location"]) for document in labels("leases")["assets"]["documents"]]
    assert any("\r\n" in one for one in texts)
    assert any(ord(character) > 0xFFFF for one in texts for character in one)
