from dataclasses import replace
from typing import Any

import pytest

from schemas.label_checks import check_labels
from schemas.label_formats.table import read_table
from schemas.names import Kind
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

SINGLE, MULTI = "CustomSingleLabelClassification", "CustomMultiLabelClassification"


def problems_of(*regions: dict[str, Any], **more: Any) -> list[str]:
    return list(check_labels(label_set(entity_file(entity_document("a.txt", *regions, **more)))).problems)


def class_problems(kind: str, *documents: dict[str, Any]) -> list[str]:
    return list(check_labels(label_set(class_file(kind, *documents)), min_documents=1).problems)


def test_good_labels_have_no_problems() -> None:
    assert problems_of(region(label(), label(offset=12), label("Amount", 17, 2)), dataset="Test") == []


def test_labels_that_touch_do_not_overlap() -> None:
    assert problems_of(region(label(length=1), label(offset=1, length=2))) == []


@pytest.mark.parametrize(
    ("labels", "problems"),
    [
        (
            [label(offset=20, length=9)],
            [
                "documents[0].entities[0].labels[0] (a.txt): 20 to 29 is not within its region, 0 to 21",
                "documents[0].entities[0].labels[0] (a.txt): position 29 is outside the text of 21 UTF-16 units",
            ],
        ),
        (
            [label(offset=-1)],
            [
                "documents[0].entities[0].labels[0] (a.txt): -1 to 2 is not within its region, 0 to 21",
                "documents[0].entities[0].labels[0] (a.txt): position -1 is outside the text of 21 UTF-16 units",
            ],
        ),
        (
            [label(offset=5, length=2)],
            ["documents[0].entities[0].labels[0] (a.txt): position 5 (UTF-16 units) is inside a surrogate pair"],
        ),
        (
            [label(length=0)],
            ["documents[0].entities[0].labels[0] (a.txt): expected a length of at least 1, got 0"],
        ),
        (
            [label("Nobody")],
            ["documents[0].entities[0].labels[0] (a.txt): unknown entity type 'Nobody', expected one that is listed"],
        ),
        (
            [label(offset=7, length=9), label(offset=12), label(offset=15, length=2)],
            [
                "documents[0].entities[0].labels[1] (a.txt): 12 to 15 overlaps "
                "documents[0].entities[0].labels[0] (a.txt)",
                "documents[0].entities[0].labels[2] (a.txt): 15 to 17 overlaps "
                "documents[0].entities[0].labels[0] (a.txt)",
            ],
        ),
        (
            [label(), label()],
            ["documents[0].entities[0].labels[1] (a.txt): 0 to 3 overlaps documents[0].entities[0].labels[0] (a.txt)"],
        ),
    ],
)
def test_a_bad_label_is_named_with_its_place(labels: list[dict[str, Any]], problems: list[str]) -> None:
    assert problems_of(region(*labels)) == problems


def test_a_label_has_to_be_within_its_region() -> None:
    assert problems_of(region(label(offset=10, length=3), offset=12, length=4)) == [
        "documents[0].entities[0].labels[0] (a.txt): 10 to 13 is not within its region, 12 to 16"
    ]


def test_labels_of_two_regions_may_not_overlap_either() -> None:
    found = problems_of(region(label()), region(label(offset=2, length=1), offset=1, length=9))
    assert found == [
        "documents[0].entities[1].labels[0] (a.txt): 2 to 3 overlaps documents[0].entities[0].labels[0] (a.txt)"
    ]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (region(length=22), "documents[0].entities[0] (a.txt): position 22 is outside the text of 21 UTF-16 units"),
        (region(offset=3, length=-2), "documents[0].entities[0] (a.txt): expected a length of at least 0, got -2"),
        (region(offset=5, length=3), "documents[0].entities[0] (a.txt): position 5 (UTF-16 units) is inside a surrog"),
    ],
)
def test_a_region_has_to_be_within_the_text(bad: dict[str, Any], problem: str) -> None:
    found = problems_of(bad)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_missing_and_empty_documents_are_told_apart() -> None:
    labels = label_set(entity_file())
    found = check_labels(
        labels.with_texts({document.id: TEXT for document in labels.documents[2:]} | {"01.txt": " \r\n"})
    )
    assert found.problems == (
        "documents[0] (00.txt): expected a text, but there is no such document",
        "documents[1] (01.txt): expected some text, got a document without any",
    )


def test_text_with_half_of_a_surrogate_pair_is_refused() -> None:
    labels = label_set(entity_file(), "Ann \ud83d owes Bob a lot")
    assert "documents[0] (00.txt): expected text, got a lone surrogate" in check_labels(labels).problems


def test_doubled_documents_and_categories_are_named() -> None:
    file = azure_file(
        SINGLE,
        ["bug", "bug", "wish"],
        [{"location": "1.txt", "class": {"category": "bug"}}, {"location": "1.txt", "class": {"category": "wish"}}],
    )
    assert check_labels(label_set(file), min_documents=1).problems == (
        "categories: expected each once, got 'bug' 2 times",
        "documents[0], documents[1]: expected each document once, got '1.txt' 2 times",
    )


@pytest.mark.parametrize(
    ("categories", "problem"),
    [
        ([], "categories: expected at least one entity type or class, got none"),
        ([f"c{i}" for i in range(201)], "categories: expected at most 200, got 201"),
        (["x" * 51], "expected at most 50 characters, got text of 51 characters"),
        ([""], "category '': expected at least 1 character, got empty text"),
        (["a/b"], "category 'a/b': expected a category with none of : $ & % * ( ) + ~ # / ? in it, got one with /"),
    ],
)
def test_bad_categories_are_named(categories: list[str], problem: str) -> None:
    found = check_labels(label_set(azure_file(SINGLE, categories, [])), min_documents=0).problems
    assert len(found) == 1
    assert problem in found[0]


def test_too_few_documents_count_only_those_with_labels() -> None:
    file = entity_file(entity_document("a.txt"), n_documents=10)
    assert check_labels(label_set(file)).problems == ("documents: expected at least 10 with labels, got 9",)
    assert check_labels(label_set(file), min_documents=9).problems == ()


def test_a_region_without_entities_counts_as_labelled() -> None:
    assert problems_of(region()) == []


@pytest.mark.parametrize(
    ("kind", "document", "problem"),
    [
        (
            SINGLE,
            {"location": "1.txt", "classes": [{"category": "bug"}, {"category": "wish"}]},
            f"documents[0] (1.txt): expected one class, as the project is {SINGLE}, got 2",
        ),
        (
            MULTI,
            {"location": "1.txt", "classes": [{"category": "bug"}, {"category": "bug"}]},
            "documents[0] (1.txt): expected each class once, got 'bug' 2 times",
        ),
        (
            MULTI,
            {"location": "1.txt", "classes": [{"category": "Bug"}]},
            "documents[0] (1.txt): unknown class 'Bug', expected one that is listed",
        ),
        (
            MULTI,
            {"location": "1.txt", "entities": [region()]},
            f"documents[0] (1.txt): expected classes, as the project is {MULTI}, got entities",
        ),
        (
            SINGLE,
            {"location": "1.txt", "language": "english!", "class": {"category": "bug"}},
            "documents[0] (1.txt): language: expected a code such as en or en-us, got 'english!'",
        ),
        (
            SINGLE,
            {"location": "1.txt", "dataset": "Validation", "class": {"category": "bug"}},
            "documents[0] (1.txt): dataset: expected Train or Test, got 'Validation'",
        ),
        (
            SINGLE,
            {"location": "", "class": {"category": "bug"}},
            "documents[0]: expected a name of 1 to 1024 characters, got 0",
        ),
    ],
)
def test_a_bad_document_is_named(kind: str, document: dict[str, Any], problem: str) -> None:
    assert class_problems(kind, document) == [problem]


def test_the_project_and_the_file_have_to_be_of_one_kind() -> None:
    found = check_labels(label_set(entity_file()), kind=Kind.MULTI_LABEL).problems
    assert found[0] == f"projectKind: expected {MULTI}, as the project is, got CustomEntityRecognition"


def test_classes_in_a_project_of_entities_are_named() -> None:
    labels = label_set(entity_file(entity_document("a.txt", region(), classes=[{"category": "Person"}])))
    assert check_labels(labels).problems == (
        "documents[0] (a.txt): expected entities, as the project is CustomEntityRecognition, got classes",
    )


def test_language_of_the_project_is_checked() -> None:
    file = entity_file()
    file["metadata"]["language"] = "?"
    found = check_labels(label_set(file)).problems
    assert found == ("metadata.language: expected a code such as en or en-us, got '?'",)


def test_all_problems_are_named_at_once() -> None:
    bad = entity_document("a.txt", region(label("Nobody", 5, 90)), language="?", dataset="?")
    file = entity_file(bad, bad, {"location": 5}, n_documents=5)
    labels = label_set(file)
    documents = tuple(
        replace(document, text=None) if i == 3 else document for i, document in enumerate(labels.documents)
    )
    found = "\n".join(check_labels(replace(labels, documents=documents)).problems)
    for part in (
        "documents[2].location: expected text",
        "'a.txt' 2 times",
        "at least 10 with labels",
        "documents[0] (a.txt): language",
        "documents[1] (a.txt): dataset",
        "unknown entity type",
        "not within its region",
        "inside a surrogate pair",
        "outside the text",
        "no such document",
    ):
        assert part in found


def test_what_is_only_odd_is_a_warning() -> None:
    text = "Ann " + "x" * 128_000
    file = entity_file(entity_document("a.txt", region(label(length=4), label(offset=4, length=501), length=9000)))
    found = check_labels(label_set(file, text))
    assert found.problems == ()
    assert found.warnings[0] == "category 'Amount': no document has it, so a model cannot learn it"
    assert found.warnings[1:4] == (
        "documents[0] (a.txt): 128004 characters; Azure takes at most 128000",
        "documents[0].entities[0].labels[0] (a.txt): the entity begins or ends with white space",
        "documents[0].entities[0].labels[1] (a.txt): 501 characters; Azure takes at most 500 in an entity",
    )


def test_a_category_that_may_not_be_is_told_with_its_line_and_what_is_not_allowed() -> None:
    bad = "Refund_not_showing_up?"
    rows = ["text,category", "When is it here?,card_arrival", f'"Two\nlines",{bad}', f"Again,{bad}"]
    found = check_labels(read_table("\n".join(rows), name="banking"), min_documents=1).problems
    assert found == (
        "category 'Refund_not_showing_up?' (first at line 4): expected a category with none of : $ & % * ( ) + ~ # / ? "
        "in it, got one with ?; rename it in the file",
    )


def test_a_bad_entity_type_is_told_with_the_document_that_has_it_first() -> None:
    file = entity_file(entity_document("a.txt", region(label("A/B"))))
    file["assets"]["entities"].append({"category": "A/B"})
    (found,) = check_labels(label_set(file)).problems
    assert found.startswith("category 'A/B' (first at documents[0]): expected ")
