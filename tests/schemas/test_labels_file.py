from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.base import now
from schemas.errors import InvalidLabels
from schemas.label_checks import check_labels
from schemas.label_set import LabelSet, documents_of, label_set_of
from schemas.label_texts import read_texts
from schemas.labels_export import labels_file
from schemas.labels_file import parse_labels_file
from schemas.names import Kind
from schemas.records import ProjectRecord
from tests.schemas.labels_factory import (
    TEXT,
    azure_file,
    class_file,
    entity_document,
    entity_file,
    label,
    label_set,
    region,
)

MICROSOFT = Path(__file__).parents[3] / "shared" / "data"
SAMPLES = [
    file
    for name in (
        "loan-agreements/loanAgreementsLabels.json",
        "web-of-science/webOfScience_labelsFile.json",
        "movie-summaries/movieLabels.json",
    )
    if (file := MICROSOFT / name).is_file()
]

ENTITIES = entity_file(
    entity_document("z.txt", region(label(), label(offset=12), label("Amount", 17, 2)), dataset="Train"),
    entity_document("a b.txt", region(label("Amount", 17, 2), offset=12, length=9), region(label()), dataset="Test"),
    {"location": "no language.txt", "entities": []},
)
SINGLE = class_file(
    "CustomSingleLabelClassification",
    {"location": "1.txt", "language": "en-us", "class": {"category": "wish"}},
    {"location": "0.txt", "language": "de", "dataset": "Test"},
)
MULTI = azure_file(
    "CustomMultiLabelClassification",
    ["bug", "wish"],
    [
        {"location": "1.txt", "language": "en-us", "classes": [{"category": "wish"}, {"category": "bug"}]},
        {"location": "0.txt", "classes": []},
    ],
    multilingual=True,
    settings={"confidenceThreshold": 0.3},
)


def exported(labels: LabelSet, name: str) -> dict[str, Any]:
    assert labels.kind
    assert labels.envelope
    project = ProjectRecord(
        name=name,
        kind=labels.kind,
        categories=list(labels.categories),
        created_at=now(),
        updated_at=now(),
        **asdict(labels.envelope),
    )
    documents = documents_of(labels, project=name)
    return labels_file(project, reversed(documents))


@pytest.mark.parametrize("file", [ENTITIES, SINGLE, MULTI], ids=["entities", "single", "multi"])
def test_export_gives_back_what_was_imported(file: dict[str, Any]) -> None:
    assert exported(label_set(file), "small") == file


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_of_microsoft_come_back(path: Path) -> None:
    original = orjson.loads(path.read_bytes())
    labels = parse_labels_file(path.read_bytes())
    labels = labels.with_texts(*read_texts(path.parent, [document.id for document in labels.documents]))
    assert check_labels(labels).problems == ()
    # The movies' file writes one of its two kinds in lower case.
    original["assets"]["projectKind"] = original["metadata"]["projectKind"]
    assert exported(labels, original["metadata"]["projectName"]) == original


def test_offsets_become_code_points() -> None:
    document = documents_of(label_set(ENTITIES), project="p")[0]
    found = [(one.category, document.text[one.offset :][: one.length]) for one in document.regions[0].labels]
    assert found == [("Person", "Ann"), ("Person", "Bob"), ("Amount", "$5")]
    assert document.regions[0].length == len(TEXT) == 20


def test_kinds_are_compared_without_case() -> None:
    assert parse_labels_file(orjson.dumps(class_file("customMULTILabelClassification"))).kind is Kind.MULTI_LABEL


def test_a_byte_order_mark_before_the_file_is_no_part_of_it() -> None:
    assert parse_labels_file(b"\xef\xbb\xbf" + orjson.dumps(SINGLE)).kind is Kind.SINGLE_LABEL


def test_preview_of_2021_is_read() -> None:
    older = {
        "api-version": "2021-11-01-preview",
        "metadata": {"name": "small", "multiLingual": True, "modelType": "Extraction", "language": "en-us"},
        "assets": {
            "extractors": [{"name": "Person"}, {"name": "Amount"}],
            "documents": [
                {
                    "location": "a.txt",
                    "language": "en-us",
                    "extractors": [
                        {
                            "regionOffset": 0,
                            "regionLength": 21,
                            "labels": [{"extractorName": "Person", "offset": 12, "length": 3}],
                        }
                    ],
                }
            ],
        },
    }
    labels = label_set(older)
    assert check_labels(labels, min_documents=1).problems == ()
    assert (labels.kind, labels.categories) == (Kind.ENTITIES, ("Person", "Amount"))
    assert labels.envelope is not None
    assert labels.envelope.multilingual
    assert documents_of(labels, project="p")[0].regions[0].labels[0].offset == 11


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"metadata": {}}', b'{"metadata": [], "assets": {}}', b"\xff"])
def test_what_is_no_labels_file_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidLabels, match="expected a labels file"):
        parse_labels_file(value)


def test_every_unreadable_part_is_named_with_its_place() -> None:
    file = azure_file(
        "CustomSomething",
        ["Person"],
        [
            {"location": 5, "entities": [{"regionOffset": "0", "regionLength": 3, "labels": [{"offset": 1.5}]}]},
            "a.txt",
            entity_document("b.txt", region(label())),
        ],
        language=None,
        settings={"confidenceThreshold": 7},
    )
    file["stringIndexType"] = "TextElements_v8"
    labels = parse_labels_file(orjson.dumps(file))
    assert list(labels.problems) == [
        "projectKind: expected one of CustomEntityRecognition, CustomSingleLabelClassification, "
        "CustomMultiLabelClassification in metadata and assets alike, got CustomSomething and CustomSomething",
        "stringIndexType: expected Utf16CodeUnit, got TextElements_v8",
        "metadata.language: expected text, got null",
        "metadata.settings.confidenceThreshold: expected at most 1.0, got a number",
        "documents[0].location: expected text, got a number",
        "documents[0].entities[0].regionOffset: expected an integer, got text of 1 characters",
        "documents[0].entities[0].labels[0].category: expected a value, got nothing",
        "documents[0].entities[0].labels[0].offset: expected an integer, got a number",
        "documents[0].entities[0].labels[0].length: expected a value, got nothing",
        "documents[1]: expected an object, got text of 5 characters",
    ]
    assert [document.id for document in labels.documents] == ["b.txt"]
    assert labels.n_unreadable == 2


def test_documents_that_are_no_list_are_named() -> None:
    file = SINGLE | {"assets": {"projectKind": "CustomSingleLabelClassification", "classes": 5}}
    problems = parse_labels_file(orjson.dumps(file)).problems
    assert problems == ("classes: expected a list, got a number", "documents: expected a list, got nothing")


def test_unchecked_labels_are_not_turned_into_documents() -> None:
    broken = label_set(entity_file(entity_document("a.txt", region(label(offset=99)))))
    with pytest.raises(InvalidLabels, match="check them first"):
        documents_of(broken, project="p")


def test_labels_of_a_project_can_be_checked_again() -> None:
    labels = label_set(ENTITIES)
    again = label_set_of(documents_of(labels, project="p"), kind=Kind.ENTITIES, categories=labels.categories)
    assert check_labels(again, min_documents=9).problems == ()


def test_texts_keep_their_line_ends_and_lose_their_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r")
    (tmp_path / "b c.txt").write_bytes(b"\xff")
    texts, problems = read_texts(tmp_path, ["a.txt", "b c.txt", "missing.txt", "a.txt"])
    assert texts == {"a.txt": "one\r\ntwo\r"}
    assert problems == ["b c.txt: expected text in UTF-8, got other bytes at position 0"]


@pytest.mark.parametrize("location", ["../secret.txt", "/etc/hostname", "sub/../../secret.txt", "nul\x00.txt"])
def test_texts_come_from_the_folder_only(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "documents").mkdir()
    texts, problems = read_texts(tmp_path / "documents", [location])
    assert texts == {}
    assert "expected the name of a file in the documents' folder" in problems[0]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").symlink_to(tmp_path / "secret.txt")
    assert read_texts(tmp_path / "documents", ["a.txt"])[0] == {}
