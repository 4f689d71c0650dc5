from pathlib import Path
from typing import Any

import pytest

from schemas.label_formats import detect_and_read, write_conll, write_jsonl
from schemas.label_set import documents_of
from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind


def document(**parts: Any) -> LabelledDocument:
    return LabelledDocument(project="p", **{"id": "a.txt", "text": "Ann Lee 🙂 met Bob.\nJoe left."} | parts)


def labelled(*spans: tuple[str, int, int]) -> LabelledDocument:
    labels = [EntityLabel(category=category, offset=start, length=end - start) for category, start, end in spans]
    return document(regions=[Region(offset=0, length=28, labels=labels)], dataset="Train", language="en")


ENTITIES = labelled(("PER", 0, 7), ("PER", 14, 17), ("ANY", 17, 18), ("PER", 19, 22))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (ENTITIES, Kind.ENTITIES),
        (labelled(), Kind.ENTITIES),
        (document(), Kind.ENTITIES),
        (document(classes=["bug"]), Kind.SINGLE_LABEL),
        (document(classes=["bug", "wish"], dataset="Test"), Kind.MULTI_LABEL),
        (document(), Kind.MULTI_LABEL),
    ],
)
def test_json_lines_come_back(tmp_path: Path, written: LabelledDocument, kind: Kind) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(write_jsonl([written], kind=kind)), encoding="utf-8", newline="")
    labels = detect_and_read(file, tmp_path)
    assert documents_of(labels, project="p") == [written]


def test_conll_comes_back_but_for_the_white_space(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("".join(write_conll([ENTITIES, labelled()])), encoding="utf-8")
    labels = detect_and_read(file, tmp_path)
    assert [found.text for found in labels.documents] == ["Ann Lee 🙂 met Bob .\nJoe left ."] * 2
    first, second = documents_of(labels, project="p")
    found = [(one.category, first.text[one.offset : one.offset + one.length]) for one in first.regions[0].labels]
    assert found == [("PER", "Ann Lee"), ("PER", "Bob"), ("ANY", "."), ("PER", "Joe")]
    assert second.regions[0].labels == []
