"""Which Avro schemas let a few bytes take endless time or memory.

A list of items that take no bytes may claim a billion of them; a type within itself may be nested until the reader,
which is written in C, runs out of stack and takes the process with it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastavro.schema import fullname

_NAMED = frozenset({"record", "error", "enum", "fixed"})


def why_unbounded(schema: Any) -> str | None:
    """Return what makes records of ``schema``, which fastavro has parsed, unbounded; ``None`` if nothing does."""
    types = {fullname(each): each for each in _all(schema) if each.get("type") in _NAMED}
    for each in _all(schema):
        if each.get("type") == "record" and _reaches(each, fullname(each), types):
            return f"expected no type within itself, got {fullname(each)}"
        if each.get("type") == "array" and _is_empty(each["items"], types):
            return "expected items that take at least a byte, got an array of nothing"
    return None


def _all(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, list):
        for branch in schema:
            yield from _all(branch)
    elif isinstance(schema, dict):
        yield schema
        for child in _parts(schema):
            yield from _all(child)


def _parts(schema: Mapping[str, Any]) -> list[Any]:
    match schema.get("type"):
        case "record" | "error":
            return [field["type"] for field in schema["fields"]]
        case "array":
            return [schema["items"]]
        case "map":
            return [schema["values"]]
        case dict() | list() as within:
            return [within]
    return []


def _reaches(schema: Any, name: str, types: Mapping[str, Any]) -> bool:
    """Tell whether a record's fields lead back to it."""
    waiting, seen = _parts(schema), set[str]()
    while waiting:
        match waiting.pop():
            case str() as word if word == name:
                return True
            case str() as word if word in types and word not in seen:
                seen.add(word)
                waiting += _parts(types[word])
            case list() as branches:
                waiting += branches
            case dict() as part:
                waiting += _parts(part)
    return False


def _is_empty(schema: Any, types: Mapping[str, Any]) -> bool:
    match schema:
        case str():
            return schema == "null" or (schema in types and _is_empty(types[schema], types))
        case {"type": "fixed", "size": size}:
            return bool(size == 0)
        case {"type": "record", "fields": fields}:
            return all(_is_empty(field["type"], types) for field in fields)
        case {"type": str() as word}:
            return word == "null"
        case {"type": within}:
            return _is_empty(within, types)
    return False
