"""What ``labels export`` writes, read again by what ``labels import`` reads."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from agents.cli.labels import exported
from schemas.errors import InvalidInput
from schemas.label_formats import detect_and_read
from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind
from schemas.records import ProjectRecord

AT = datetime(2026, 1, 5, tzinfo=UTC)
TEXT = "Ann lends Bob $12,000."
LENT = LabelledDocument(
    project="loans",
    id="1.txt",
    text=TEXT,
    regions=[Region(offset=0, length=len(TEXT), labels=[EntityLabel(category="Lender", offset=0, length=3)])],
)


def project(kind: Kind = Kind.ENTITIES) -> ProjectRecord:
    return ProjectRecord(name="loans", kind=kind, language="en", categories=["Lender"], created_at=AT, updated_at=AT)


@pytest.mark.parametrize("suffix", [".jsonl", ".conll"])
def test_what_is_exported_can_be_imported(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"labels{suffix}"
    file.write_bytes(exported(project(), [LENT], suffix=suffix))
    (document,) = detect_and_read(file, tmp_path).documents
    (label,) = [label for region in document.regions for label in region.labels]
    assert document.text is not None
    assert (label.category, document.text[label.offset : label.offset + label.length]) == ("Lender", "Ann")


def test_anything_else_is_azures_labels_file() -> None:
    file = orjson.loads(exported(project(), [LENT], suffix=".json"))
    assert file["projectFileVersion"] == "2022-05-01"


def test_conll_has_no_place_for_classes() -> None:
    with pytest.raises(InvalidInput, match="CoNLL holds entities, and loans has classes"):
        exported(project(Kind.SINGLE_LABEL), [], suffix=".conll")
