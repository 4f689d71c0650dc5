"""Labels files that nobody wrote in good faith: each problem is one line, nothing is read that is not there to be."""

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.control.imports import read_import
from schemas.base import now
from schemas.commands import ImportLabels, ImportLabelsCommand
from schemas.control_events import few
from schemas.errors import InvalidInput, InvalidLabels
from schemas.label_checks import check_labels
from schemas.label_formats import detect_and_read
from schemas.label_set import LabelSet, documents_of
from schemas.labels_file import parse_labels_file
from schemas.names import Kind
from schemas.records import ProjectRecord
from tests.hostile.grammar import junk

SUFFIXES = [".json", ".jsonl", ".csv", ".tsv", ".conll", ".txt"]
PROJECT = ProjectRecord(name="p", kind=Kind.ENTITIES, language="en", created_at=now(), updated_at=now())


def azure(documents: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {"projectKind": "CustomEntityRecognition", "language": "en", **metadata},
        "assets": {
            "projectKind": "CustomEntityRecognition",
            "entities": [{"category": "Date"}],
            "documents": documents,
        },
    }


def labelled(location: str = "a.txt", *spans: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    labels = [{"category": "Date", "offset": start, "length": length} for start, length in spans]
    return {"location": location, "entities": [{"regionOffset": 0, "regionLength": 20, "labels": labels}], **more}


def problems_of(labels: LabelSet) -> tuple[str, ...]:
    return check_labels(labels).problems


def problems_in(path: Path, folder: Path) -> tuple[str, ...]:
    """Everything that is wrong with a file, however it is told."""
    try:
        return problems_of(detect_and_read(path, folder))
    except InvalidLabels as error:
        return tuple(error.problems)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("2026-01-05 is a date")
    (tmp_path / "secret.txt").write_text("zQ7hush")
    return tmp_path / "texts"


@pytest.mark.parametrize(
    "location",
    [
        "../secret.txt",
        "/etc/passwd",
        "a/../../secret.txt",
        "link.txt",
        "\x00",
        "x" * 5000,
        "",
        ".",
        "..",
        "~/x",
        "\\..\\secret.txt",
        "file:///etc/passwd",
        "a\n\x1b[2Jb.txt",
        "\u202etxt.a",
        "/dev/zero",
        "/proc/self/environ",
        "fifo",
    ],
)
def test_no_location_leads_out_of_the_folder(folder: Path, location: str) -> None:
    import os

    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    os.mkfifo(folder / "fifo")
    file = folder.parent / "labels.json"
    file.write_text(json.dumps(azure([labelled(location, (0, 4))])))
    found = problems_in(file, folder)
    assert any("expected a text" in each or "expected the name of a file" in each for each in found)
    assert all(each.isprintable() and "zQ7hush" not in each for each in found)


SPANS: list[list[tuple[Any, Any]]] = [
    [(2**62, 2**62)],
    [(2**63, 1)],
    [(0, -5)],
    [(-3, 5)],
    [(0, 0)],
    [(0, 6), (3, 6)],
    [(0, 4), (0, 4)],
    [(1e308, 1)],
    [(True, 1)],
    [("0", "4")],
    [(None, [])],
    [(19, 5)],
]


@pytest.mark.parametrize("spans", SPANS)
def test_a_wrong_span_is_one_line_with_its_place(folder: Path, spans: list[tuple[Any, Any]]) -> None:
    file = folder.parent / "labels.json"
    file.write_text(json.dumps(azure([labelled("a.txt", *spans)])))
    found = [each for each in problems_in(file, folder) if "at least 10" not in each]
    assert found
    assert all("documents[0]" in each and each.isprintable() and len(each) < 300 for each in found)


BROKEN: dict[str, Any] = {
    "studio without labels": [{"data": {"text": "abc"}, "annotations": [{"result": [_ := {
        "type": "labels", "value": {"start": 0, "end": 1, "labels": []}}]}]}],
    "studio with numbers for choices": [{"data": {"text": "abc"}, "annotations": [{"result": [
        {"type": "choices", "value": {"choices": [1, [2]]}}]}]}],
    "studio with a word for choices": [{"data": {"text": "abc"}, "annotations": [{"result": [
        {"type": "choices", "value": {"choices": "abc"}}]}]}],
    "studio with odd numbers": [{"data": {"text": "abc"}, "annotations": [{"result": [
        {"type": "labels", "value": {"start": "9" * 5000, "end": {}, "labels": ["a"]}}]}]}],
    "tasks that are none": [{"data": 1, "annotations": 2}, 7, None, []],
    "no assets": {"assets": 1, "metadata": 2},
    "documents that are none": azure([0, None, [], "x", {"location": 5}]),
    "a document twice": azure([labelled("a.txt", (0, 4))] * 12),
    "a preview": {"metadata": {"modelType": []}, "assets": {"extractors": 3, "documents": [{"extractors": [1]}]}},
    "nothing": None,
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_json_that_is_no_labels_is_said_in_lines(folder: Path, content: Any) -> None:
    file = folder.parent / "labels.json"
    file.write_text(json.dumps(content))
    found = problems_in(file, folder)
    assert found
    assert all(each.isprintable() for each in found)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x00" * 100, b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"[" * 5000, b'{"assets":' * 3000),
        *(b"PK\x03\x04" + b"\x00" * 99, b"\x1f\x8b\x08" + b"\x00" * 99, b'"text"x,label\n"a', b'text,label\n"a\x00\n'),
        *(b"text,text\n,,,\n", b"a\tO\n-DOCSTART-\n\tB-\n", b'{"text": "a", "entities": [[0, 1e400, "x"]]}'),
        *(b'{"text": "\\ud800", "label": "x"}', b'{"text":"a","label":{"b":1e308}}'),
    ],
)
def test_bytes_that_are_no_labels_are_said_in_lines(folder: Path, suffix: str, content: bytes) -> None:
    file = folder.parent / f"labels{suffix}"
    file.write_bytes(content)
    found = problems_in(file, folder)
    assert found
    assert all(each.isprintable() for each in found)


def _anywhere(content: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """``content`` with junk in some of its places."""
    inside: st.SearchStrategy[Any]
    if isinstance(content, dict):
        inside = st.fixed_dictionaries({key: _anywhere(value, depth + 1) for key, value in content.items()})
    elif isinstance(content, list):
        inside = st.tuples(*[_anywhere(value, depth + 1) for value in content]).map(list)
    else:
        return st.one_of(st.just(content), st.just(content), junk)
    return st.integers(0, 9).flatmap(lambda n: inside if n else junk)


STUDIO = [{"id": 1, "data": {"text": "2026 is"}, "annotations": [{"was_cancelled": False, "result": [
    {"type": "labels", "value": {"start": 0, "end": 4, "text": "2026", "labels": ["Date"]}},
    {"type": "choices", "value": {"choices": ["a"]}}]}]}]  # fmt: skip
LINES = [{"id": "x", "text": "2026 is", "entities": [[0, 4, "Date"], {"start": 0, "end": 4, "label": "x"}]}]
PREVIEW = {"metadata": {"modelType": "Extraction", "language": "en"}, "assets": {"extractors": [{"name": "Date"}],
    "documents": [{"location": "a.txt", "extractors": [{"regionOffset": 0, "regionLength": 7, "labels": [
        {"extractorName": "Date", "offset": 0, "length": 4}]}]}]}}  # fmt: skip


@given(st.one_of(*[_anywhere(each) for each in (azure([labelled("a.txt", (0, 4))]), STUDIO, LINES, PREVIEW)]))
def test_junk_anywhere_is_a_problem_or_harmless(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "junk"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text("2026 is")
    file = folder / "labels.json"
    file.write_text(json.dumps(content))
    try:
        labels = detect_and_read(file, folder)
    except InvalidLabels as error:
        assert all(each.isprintable() for each in error.problems)
        return
    found = check_labels(labels, min_documents=0)
    assert all(each.isprintable() for each in (*found.problems, *found.warnings))
    if not found.problems:
        documents_of(labels, project="p")


class _Store:
    def __init__(self, bundle: bytes) -> None:
        self._bundle = bundle

    def get(self, _: str) -> bytes:
        return self._bundle


def imported(labels_file: Any, texts: Any, **more: Any) -> tuple[str, ...]:
    """What the controller says of a bundle, as the event does."""
    bundle = json.dumps({"labelsFile": labels_file, "documents": texts, **more}).encode()
    command = ImportLabelsCommand(project="p", parameters=ImportLabels(bundle="sha256:" + "0" * 64))
    found = read_import(_Store(bundle), command, PROJECT, (), largest_bytes=8 * 2**20)
    return tuple(few(found.problems or found.warnings))


MANY = 100_000


def _wrong(i: int) -> dict[str, Any]:
    return labelled(f"{i}.txt", (2**40, -1))


BUNDLES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "a hundred thousand wrong documents": lambda: (azure([_wrong(i) for i in range(MANY)]), {}),
    "the same document thirty thousand times": lambda: (azure([labelled()] * 30_000), {"a.txt": "x"}),
    "a hundred thousand spans outside a long text": lambda: (
        azure([labelled("a.txt", *[(10**9 + i, 1) for i in range(MANY)])]),
        {"a.txt": "é" * 1_000_000},
    ),
    "a description of megabytes": lambda: (azure([labelled()], description="d" * 9_000_000), {"a.txt": "x"}),
    "texts that are none": lambda: (azure([labelled()]), {str(i): i for i in range(MANY)}),
    "no texts": lambda: (azure([labelled()]), []),
}


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_of_a_hundred_thousand_problems_is_refused_in_bounded_time_and_words(
    bundle: Callable[[], tuple[Any, Any]],
) -> None:
    file, texts = bundle()
    started = time.process_time()
    said = imported(file, texts)
    assert time.process_time() - started < 30
    assert said
    assert len(json.dumps(said)) < 200_000
    assert all(each.isprintable() for each in said)


def test_ten_thousand_good_documents_are_imported_in_bounded_memory() -> None:
    file = azure([labelled(f"{i}.txt", (0, 4)) for i in range(10_000)])
    texts = {f"{i}.txt": "2026-01-05 is a date" for i in range(10_000)}
    tracemalloc.start()
    assert imported(file, texts) == ()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000 * 8_000


def test_the_labels_file_itself_says_one_problem_for_what_is_no_json() -> None:
    for value in (b"", b"\xff", b"{" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"null", b"1e999"):
        with pytest.raises(InvalidInput) as caught:
            parse_labels_file(value)
        assert len(caught.value.problems) == 1
