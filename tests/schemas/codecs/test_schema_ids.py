import json
from pathlib import Path

import orjson
import pytest

from schemas.codecs.schema_ids import OWN_SCHEMAS, LocalSchemaIds, own_schema, parsed, schema_ids
from schemas.errors import InvalidInput, UnknownSchema


def folder(at: Path, ids: object, **files: object) -> Path:
    at.mkdir(exist_ok=True)
    (at / "ids.json").write_bytes(orjson.dumps(ids))
    for name, content in files.items():
        (at / f"{name}.avsc").write_bytes(orjson.dumps(content))
    return at


RECORD = {"type": "record", "name": "R", "fields": []}


def test_every_schema_of_ours_has_a_number() -> None:
    ids = schema_ids()
    names = {file.stem for file in OWN_SCHEMAS.glob("*.avsc")}
    assert names == {"document_event", "enriched_document"}
    for name in names:
        assert ids.schema_for(ids.id_for(name)) == own_schema(name)


def test_ids_of_other_folders_are_added(tmp_path: Path) -> None:
    ids = LocalSchemaIds([folder(tmp_path, {"9": "r.avsc"}, r=RECORD)])
    assert ids.schema_for(9)["name"] == "R"
    assert ids.id_for("document_event") == 1


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(UnknownSchema, match="unknown schema id 9, expected one of 1, 2"):
        LocalSchemaIds().schema_for(9)


def test_everything_wrong_in_a_folder_is_named(tmp_path: Path) -> None:
    bad = {"1": "r.avsc", "x": "r.avsc", "10": "missing.avsc", "11": "broken.avsc", "12": "text.avsc", "13": 5}
    broken = {"type": "record", "name": "B", "fields": [{"name": "a", "type": "nowhere.Known"}]}
    with pytest.raises(InvalidInput) as caught:
        LocalSchemaIds([folder(tmp_path, bad, r=RECORD, broken=broken, text="string"), tmp_path / "nowhere"])
    problems = caught.value.problems
    assert len(problems) == 7
    assert "id 1 is given twice" in problems[0]
    assert "expected a number and a file name" in problems[1]
    assert "missing.avsc" in problems[2]
    assert "broken.avsc: expected an Avro schema" in problems[3]
    assert "text.avsc: expected the Avro schema of a record" in problems[4]


def test_ids_that_are_no_object_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected an object of ids and file names"):
        LocalSchemaIds([folder(tmp_path, [1])])


def _record(**field: object) -> str:
    fields = [{"name": "id", "type": "string"}, {"name": "f", **field}]
    return json.dumps({"type": "record", "name": "DocumentEvent", "namespace": "n", "fields": fields})


EMPTY = {"type": "record", "name": "E", "fields": [{"name": "nothing", "type": "null"}]}


@pytest.mark.parametrize(
    "kind",
    [
        ["null", "DocumentEvent"],
        {"type": "array", "items": "n.DocumentEvent"},
        {"type": "map", "values": "DocumentEvent"},
        {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": ["null", "DocumentEvent"]}]},
        {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": ["null", "Inner"]}]},
        {"type": "array", "items": "null"},
        {"type": "array", "items": EMPTY},
        {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}},
        ["null", {"type": "map", "values": {"type": "array", "items": EMPTY}}],
    ],
)
def test_a_schema_whose_records_may_be_endless_is_refused(kind: object) -> None:
    with pytest.raises(ValueError, match=r"expected (no type within itself|items that take at least a byte)"):
        parsed(_record(type=kind))


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "array", "items": ["null", "string"]},
        {"type": "map", "values": "null"},
        {"type": "record", "name": "Once", "fields": [{"name": "x", "type": EMPTY}]},
        {"type": "array", "items": {"type": "enum", "name": "En", "symbols": ["a"]}},
        {"type": "array", "items": {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}},
    ],
)
def test_a_schema_with_lists_of_something_is_taken(kind: object) -> None:
    assert parsed(_record(type=kind))["name"] == "n.DocumentEvent"
