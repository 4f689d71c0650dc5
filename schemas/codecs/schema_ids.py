"""Avro schemas by the number that stands for them in Confluent's wire format."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import orjson
from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from schemas.codecs.bounds import why_unbounded
from schemas.errors import InvalidInput, UnknownSchema

OWN_SCHEMAS = Path(__file__).parent.parent / "avro"
IDS_FILE = "ids.json"

Schema = dict[str, Any]
"""A schema that fastavro has parsed."""


class SchemaIds(Protocol):
    """Knows which number stands for which schema."""

    def schema_for(self, schema_id: int) -> Schema:
        """Return the schema that ``schema_id`` stands for.

        Raises:
            UnknownSchema: If there is none, or none that is Avro.
            Unavailable: If nobody can tell at the moment.
        """
        ...

    def id_for(self, name: str) -> int:
        """Return the number of our own schema ``name``, such as ``document_event``.

        Raises:
            Unavailable: If nobody can tell at the moment.
        """
        ...


def parsed(text: bytes | str) -> Schema:
    """Return the schema that ``text`` describes.

    Raises:
        ValueError: If it describes none that is a record, or one whose records could take endless time or memory.
    """
    try:
        schema = parse_schema(orjson.loads(text))
    except (SchemaParseException, UnknownType, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"expected an Avro schema: {type(error).__name__}") from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("expected the Avro schema of a record")
    if problem := why_unbounded(schema):
        raise ValueError(problem)
    return schema


def own_schema(name: str) -> Schema:
    """Return the schema of our own file ``name``."""
    return parsed((OWN_SCHEMAS / f"{name}.avsc").read_bytes())


class LocalSchemaIds:
    """Schema ids from folders: each holds schema files and an ``ids.json`` that gives them their numbers.

    Args:
        folders: Folders beside our own, for the schemas of other writers.

    Raises:
        InvalidInput: With everything that is wrong in the folders.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        problems: list[str] = []
        self._schemas: dict[int, Schema] = {}
        self._ids: dict[str, int] = {}
        for folder in (OWN_SCHEMAS, *folders):
            problems += self._add(folder)
        if problems:
            raise InvalidInput(problems)

    def schema_for(self, schema_id: int) -> Schema:
        """See ``SchemaIds``."""
        try:
            return self._schemas[schema_id]
        except KeyError:
            known = ", ".join(map(str, sorted(self._schemas)))
            raise UnknownSchema(f"unknown schema id {schema_id}, expected one of {known}") from None

    def id_for(self, name: str) -> int:
        """See ``SchemaIds``."""
        return self._ids[name]

    def _add(self, folder: Path) -> list[str]:
        try:
            ids = orjson.loads((folder / IDS_FILE).read_bytes())
        except (OSError, ValueError) as error:
            return [f"{folder / IDS_FILE}: {error}"]
        if not isinstance(ids, dict):
            return [f"{folder / IDS_FILE}: expected an object of ids and file names"]
        return [problem for schema_id, file in ids.items() if (problem := self._add_one(folder, schema_id, file))]

    def _add_one(self, folder: Path, schema_id: str, file: object) -> str | None:
        if not (schema_id.isascii() and schema_id.isdecimal() and isinstance(file, str)):
            return f"{folder / IDS_FILE}: expected a number and a file name, got {schema_id!r}: {file!r}"
        if int(schema_id) in self._schemas:
            return f"{folder / IDS_FILE}: id {schema_id} is given twice"
        try:
            self._schemas[int(schema_id)] = parsed((folder / file).read_bytes())
        except (OSError, ValueError) as error:
            return f"{folder / file}: {error}"
        self._ids.setdefault(Path(file).stem, int(schema_id))
        return None


def schema_ids(registry_url: str | None = None) -> SchemaIds:
    """Return the ids of the schema registry at ``registry_url``, or else those of our own file."""
    if registry_url is None:
        return LocalSchemaIds()
    from schemas.codecs.registry import RegistrySchemaIds

    return RegistrySchemaIds(registry_url)
