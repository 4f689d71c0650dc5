from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.errors import InvalidLabels
from schemas.label_formats import detect_and_read
from schemas.label_set import LabelSet
from schemas.names import Kind
from tests.schemas.labels_factory import TEXT, entity_file


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(name: str, content: str | bytes | object) -> LabelSet:
        match content:
            case str():
                (tmp_path / name).write_bytes(content.encode())
            case bytes():
                (tmp_path / name).write_bytes(content)
            case _:
                (tmp_path / name).write_bytes(orjson.dumps(content))
        return detect_and_read(tmp_path / name, tmp_path)

    return write_and_read


def entities(labels: LabelSet) -> list[list[tuple[str, str]]]:
    return [
        [
            (one.category, (document.text or "")[one.offset : one.offset + one.length])
            for region in document.regions
            for one in region.labels
        ]
        for document in labels.documents
    ]


CONLL = {
    "BIO": "Ann B-PER\nLee I-PER\nmet O\nBob B-PER\nJoe B-PER\n",
    "IOB1": "Ann I-PER\nLee I-PER\nmet O\nBob I-PER\nJoe B-PER\n",
    "BIOES": "Ann B-PER\nLee E-PER\nmet O\nBob S-PER\nJoe S-PER\n",
    "BILOU": "Ann B-PER\nLee L-PER\nmet O\nBob U-PER\nJoe U-PER\n",
    "four columns": "Ann NNP x B-PER\nLee NNP x I-PER\nmet V x O\nBob NNP x B-PER\nJoe NNP x B-PER\n",
    "tabs and Windows line ends": "Ann\tB-PER\r\nLee\tI-PER\r\nmet\tO\r\nBob\tB-PER\r\nJoe\tB-PER\r\n\r\n",
    "no last line end": "Ann B-PER\nLee I-PER\nmet O\nBob B-PER\nJoe B-PER",
}


@pytest.mark.parametrize("content", CONLL.values(), ids=CONLL.keys())
def test_every_kind_of_tags_gives_the_same_spans(read: Any, content: str) -> None:
    labels = read("a.conll", content)
    assert labels.documents[0].text == "Ann Lee met Bob Joe"
    assert entities(labels) == [[("PER", "Ann Lee"), ("PER", "Bob"), ("PER", "Joe")]]
    assert (labels.kind, labels.categories, labels.problems) == (Kind.ENTITIES, ("PER",), ())


def test_another_type_begins_another_entity(read: Any) -> None:
    assert entities(read("a.conll", "Ann I-PER\nBonn I-LOC\n")) == [[("PER", "Ann"), ("LOC", "Bonn")]]


def test_an_entity_ends_with_its_sentence(read: Any) -> None:
    labels = read("a.conll", "-DOCSTART- O\n\nAnn I-PER\n\nLee I-PER\n\n-DOCSTART- O\n\nBob O\n")
    assert [document.text for document in labels.documents] == ["Ann\nLee", "Bob"]
    assert entities(labels) == [[("PER", "Ann"), ("PER", "Lee")], []]


def test_without_document_starts_every_sentence_is_a_document(read: Any) -> None:
    labels = read("some.conll", "Ann I-PER\n\n\nLee I-PER\n")
    assert [(document.id, document.place, document.text) for document in labels.documents] == [
        ("some-00001.txt", "line 1", "Ann"),
        ("some-00002.txt", "line 4", "Lee"),
    ]


def test_bad_lines_of_conll_are_named(read: Any) -> None:
    assert read("a.conll", "Ann B-PER\nalone\nBob PER\nJoe O\n").problems == (
        "line 2: expected a token and its tag, got 1 column(s)",
        "line 3: expected a tag such as O, B-Person or I-Person in the last column",
    )


@pytest.mark.parametrize(
    "item",
    [
        {"text": "Ann 🙂 Lee", "entities": [[0, 3, "PER"], [6, 9, "PER"]]},
        {"text": "Ann 🙂 Lee", "label": [[0, 3, "PER"], [6, 9, "PER"]]},
        {
            "text": "Ann 🙂 Lee",
            "spans": [{"start": 0, "end": 3, "label": "PER"}, {"start": 6, "end": 9, "label": "PER"}],
        },
        {
            "text": "Ann 🙂 Lee",
            "entities": [
                {"id": 5, "start_offset": 0, "end_offset": 3, "label": "PER"},
                {"id": 6, "start_offset": 6, "end_offset": 9, "label": "PER"},
            ],
        },
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a"])
def test_conventions_for_spans_are_read(read: Any, item: dict[str, Any], name: str) -> None:
    labels = read(name, orjson.dumps(item) + b"\n" + orjson.dumps(item))
    assert entities(labels) == [[("PER", "Ann"), ("PER", "Lee")]] * 2
    assert entities(read("list.json", [item])) == [[("PER", "Ann"), ("PER", "Lee")]]


@pytest.mark.parametrize(
    ("labelled", "classes", "kind"),
    [
        ({"label": "bug"}, ("bug",), None),
        ({"labels": ["bug"]}, ("bug",), None),
        ({"labels": ["bug", "wish"]}, ("bug", "wish"), Kind.MULTI_LABEL),
        ({"label": ["bug", "wish"]}, ("bug", "wish"), Kind.MULTI_LABEL),
        ({"cats": {"bug": 1.0, "wish": 0.0}}, ("bug",), None),
        ({}, (), None),
    ],
)
def test_conventions_for_classes_are_read(
    read: Any, labelled: dict[str, Any], classes: tuple[str, ...], kind: Kind | None
) -> None:
    labels = read("a.jsonl", {"text": "It broke", "id": 7, "language": "de", "dataset": "Test"} | labelled)
    document = labels.documents[0]
    assert (document.classes, labels.kind) == (classes, kind)
    assert (document.id, document.language, document.dataset) == ("7", "de", "Test")


def test_bad_lines_of_json_are_named(read: Any) -> None:
    lines = [
        "{",
        "5",
        '{"label": "x"}',
        '{"text": 5}',
        "",
        '{"text": "a", "label": 5}',
        '{"text": "a", "entities": 5}',
        '{"text": "a", "entities": [[0, 1]]}',
        '{"text": "a", "entities": [[0, "1", "X"]]}',
        '{"text": "a", "label": "ok"}',
    ]
    labels = read("a.jsonl", "\n".join(lines))
    assert labels.problems[0].startswith("line 1: expected JSON: ")
    assert labels.problems[1:] == (
        "line 2: expected an object, got a number",
        "line 3: text: expected text, got nothing",
        "line 4: text: expected text, got a number",
        "line 6: label: expected a class or a list of classes, got a number",
        "line 7: entities: expected a list, got a number",
        "line 8: entities[0]: expected [start, end, label] or an object, got a list of 2",
        "line 9: entities[0]: expected two whole numbers and a label",
    )
    assert (len(labels.documents), labels.n_unreadable) == (1, 8)


def task(text: str, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 3, "data": {"text": text}, "annotations": [{"result": list(results)}]} | more


def studio_label(start: int, end: int, text: str) -> dict[str, Any]:
    return {"type": "labels", "value": {"start": start, "end": end, "text": text, "labels": ["PER"]}}


@pytest.mark.parametrize("start", [6, 7])
def test_entities_of_label_studio_are_read_in_either_unit(read: Any, start: int) -> None:
    labels = read("a.json", [task("Ann 🙂 Lee", studio_label(start, start + 3, "Lee"))])
    assert entities(labels) == [[("PER", "Lee")]]
    assert labels.documents[0].id == "3.txt"


def test_choices_of_label_studio_are_read(read: Any) -> None:
    choices = {"type": "choices", "value": {"choices": ["bug", "wish"]}}
    cancelled = {"was_cancelled": True, "result": [{"type": "choices", "value": {"choices": ["no"]}}]}
    labels = read("a.json", [task("It broke", annotations=[cancelled, {"result": [choices]}])])
    assert labels.documents[0].classes == ("bug", "wish")
    assert labels.kind is Kind.MULTI_LABEL


def test_bad_tasks_of_label_studio_are_named(read: Any) -> None:
    bad = [
        task("Ann", studio_label(0, 2, "Ann")),
        task("Ann", data={"a": "one", "b": "two"}),
        {"data": 5},
        task("Ann", {"type": "labels", "value": {}}),
        5,
    ]
    assert read("a.json", bad).problems == (
        "[0].result[0]: start and end do not fit the text that was labelled",
        "[1]: data: expected a field text, or one text only",
        "[2]: expected a task of Label Studio, got something else (AttributeError)",
        "[3]: expected a task of Label Studio, got something else (KeyError)",
        "[4]: expected a task of Label Studio, got something else (TypeError)",
    )


def test_csv_with_one_class_is_read(read: Any) -> None:
    labels = read("a.csv", 'Text,Category\r\n"It ""broke"",\r\nall of it",bug\r\nMore colours,wish\r\n')
    assert [(document.text, document.classes) for document in labels.documents] == [
        ('It "broke",\r\nall of it', ("bug",)),
        ("More colours", ("wish",)),
    ]
    assert [document.place for document in labels.documents] == ["line 3", "line 4"]


@pytest.mark.parametrize("parted", ["bug|wish", "bug; wish", '"bug, wish"'])
def test_csv_with_several_classes_is_read(read: Any, parted: str) -> None:
    labels = read("a.csv", f"id,text,labels\n7,It broke,{parted}\n8,Fine,\n")
    assert [(document.id, document.classes) for document in labels.documents] == [("7", ("bug", "wish")), ("8", ())]


def test_tsv_and_long_texts_are_read(read: Any) -> None:
    labels = read("a.tsv", "text\tlabel\n" + "x" * 200_000 + "\tbug\n")
    assert len(labels.documents[0].text or "") == 200_000


@pytest.mark.parametrize("heading", ["text\na\n", "label\na\n", "a,b\n1,2\n", ""])
def test_csv_without_its_columns_is_refused(read: Any, heading: str) -> None:
    with pytest.raises(InvalidLabels, match="line 1: expected a heading with the columns text and label"):
        read("a.csv", heading)


def test_bad_rows_of_csv_are_named(read: Any) -> None:
    labels = read("a.csv", 'label,text\nbug,"a",b\nbug\nbug,"open\n')
    assert labels.problems[:2] == ("line 2: expected 2 columns, got more", "line 3: text: expected text, got nothing")
    assert labels.problems[2].startswith("line 4: expected a row of CSV: ")


def test_file_of_azure_takes_its_texts_from_the_folder(read: Any, tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"{i:02}.txt").write_bytes(TEXT.encode())
    labels = read("labels.json", entity_file())
    assert labels.envelope is not None
    assert [document.text for document in labels.documents] == [TEXT] * 9 + [None]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", b"[{", "expected JSON"),
        ("a.json", b"{}", "got an object"),
        ("a.conll", b"\xff", "expected UTF-8, got other bytes at position 0"),
    ],
)
def test_what_is_in_no_known_format_is_refused(read: Any, name: str, content: bytes, problem: str) -> None:
    with pytest.raises(InvalidLabels, match=problem):
        read(name, content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidLabels, match="No such file"):
        detect_and_read(tmp_path / "a.json", tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.conll", "a.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_word(read: Any, name: str) -> None:
    content = {"a.csv": "text,label\nAnn,x", "a.conll": "Ann B-x", "a.jsonl": '{"text": "Ann", "label": "x"}'}[name]
    assert read(name, b"\xef\xbb\xbf" + content.encode()).documents[0].text == "Ann"
