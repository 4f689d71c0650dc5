"""Bundles: from the store to a checked import."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.cli.labels import LabelsSource, bundle_of
from agents.control.imports import read_import
from agents.control.projects import Import
from schemas.commands import ImportLabels, ImportLabelsCommand
from schemas.errors import ArtefactNotFound
from schemas.labels_file import parse_labels_file
from schemas.names import Kind
from schemas.records import ProjectRecord
from tests.agents.control_kit import make_bundle

AT = datetime(2026, 1, 5, tzinfo=UTC)
PROJECT = ProjectRecord(name="loans", kind=Kind.ENTITIES, language="de", created_at=AT, updated_at=AT)
COMMAND = ImportLabelsCommand(project="loans", parameters=ImportLabels(bundle=f"sha256:{'0' * 64}"))


class _Store:
    def __init__(self, blob: bytes | None) -> None:
        self._blob = blob

    def get(self, digest: str) -> bytes:
        if self._blob is None:
            raise ArtefactNotFound(f"got no {digest}")
        return self._blob


def labels(n: int = 10, *, category: str = "Date", kind: str = "CustomEntityRecognition") -> dict[str, Any]:
    region = {"regionOffset": 0, "regionLength": 8, "labels": [{"category": category, "offset": 3, "length": 4}]}
    return {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {"projectKind": kind, "language": "en", "projectName": "x", "settings": {}},
        "assets": {
            "projectKind": kind,
            "entities": [{"category": "Date"}],
            "documents": [{"location": f"{i}.txt", "language": "en", "entities": [region]} for i in range(n)],
        },
    }


TEXTS = {f"{i}.txt": "\N{GRINNING FACE} 2026 " for i in range(10)}


def read(blob: bytes | None, *, there: tuple[str, ...] = (), largest_bytes: int = 1_000_000) -> Import:
    return read_import(_Store(blob), COMMAND, PROJECT, there, largest_bytes=largest_bytes)


def test_an_import_holds_the_documents_in_code_points_and_the_project_after_it() -> None:
    found = read(make_bundle(labels(), TEXTS), there=("0.txt", "old.txt"))
    assert found.problems == ()
    assert found.labels.removed == ["old.txt"]
    first = found.labels.documents[0]
    span = first.regions[0].labels[0]
    assert first.text[span.offset : span.offset + span.length] == "2026"
    assert found.project is not None
    assert (found.project.language, found.project.n_documents, found.project.n_labelled) == ("en", 10, 10)
    assert (found.project.kind, found.project.created_at) == (Kind.ENTITIES, AT)


def test_two_bundles_of_the_same_labels_are_two_so_that_one_can_be_deleted(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_bytes(orjson.dumps(labels()))
    source = LabelsSource(file, parse_labels_file(file.read_bytes()).with_texts(TEXTS, []))
    first, second = bundle_of(PROJECT, source), bundle_of(PROJECT, source)
    assert first != second
    assert read(first).problems == ()
    assert read(first).labels == read(second).labels


@pytest.mark.parametrize(
    ("blob", "problem"),
    [
        (None, "bundle: got no sha256:"),
        (b"{", "bundle: got 1 bytes that are no JSON"),
        (b"[]", "bundle: expected an object with labelsFile and documents"),
        (b'{"labelsFile": {}}', "bundle: expected an object with labelsFile and documents"),
        (make_bundle({}, {}), "expected a labels file"),
        (make_bundle(labels(kind="CustomMultiLabelClassification"), TEXTS), "expected CustomEntityRecognition"),
        (make_bundle(labels(9), TEXTS), "10"),
        (orjson.dumps({"labelsFile": labels(), "documents": TEXTS | {"3.txt": 7}}), "bundle: documents['3.txt']"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_told_why(blob: bytes | None, problem: str) -> None:
    found = read(blob)
    assert found.project is None
    assert any(problem in sentence for sentence in found.problems), found.problems


def test_all_problems_are_told_at_once() -> None:
    texts = {name: text for name, text in TEXTS.items() if name != "4.txt"}
    found = read(make_bundle(labels(category="Dat"), texts))
    assert len(found.problems) >= 10


def test_a_document_that_the_topic_would_not_take_is_told_by_its_name() -> None:
    found = read(make_bundle(labels(), TEXTS | {"2.txt": TEXTS["2.txt"] + "x" * 9000}), largest_bytes=16 * 1024 + 5000)
    assert [sentence.partition(":")[0] for sentence in found.problems] == ["documents[2] '2.txt'"]
