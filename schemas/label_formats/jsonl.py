"""JSON lines, in the conventions of spaCy, Prodigy, doccano and Hugging Face; also as one JSON list.

``text`` with ``entities``, ``spans`` or ``label`` (each a list of ``[start, end, label]`` or of objects), or with
``label`` (one class) or ``labels`` (a list of classes). ``id``, ``language`` and ``dataset`` are taken where they are.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from schemas.codecs.json import type_name
from schemas.label_formats.assembly import Assembly
from schemas.label_set import LabelSet, RawLabel

_TEXT = ("text", "full_text")
_ID = ("id", "location")
_SPANS = ("entities", "spans")
_CLASSES = ("label", "labels", "category", "categories", "cats")
_START = ("start", "start_offset", "start_position")
_END = ("end", "end_offset", "end_position")
_CATEGORY = ("label", "category", "entity_type")
_TRIPLE = 3


def read_jsonl(content: str, *, name: str) -> LabelSet:
    """Return the documents in ``content``, one a line."""
    assembly = Assembly(name)
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                assembly.refuse(f"line {number}", f"expected JSON: {error}")
            else:
                _add(assembly, found, place=f"line {number}")
    return assembly.finished()


def read_json_list(items: Iterable[object], *, name: str) -> LabelSet:
    """Return the documents in ``items``."""
    assembly = Assembly(name)
    for number, item in enumerate(items):
        _add(assembly, item, place=f"[{number}]")
    return assembly.finished()


def _add(assembly: Assembly, item: object, *, place: str) -> None:
    if not isinstance(item, dict):
        assembly.refuse(place, f"expected an object, got {type_name(item)}")
        return
    text = _first(item, _TEXT)
    if not isinstance(text, str):
        assembly.refuse(place, f"text: expected text, got {type_name(text) if text is not None else 'nothing'}")
        return
    try:
        entities, classes = _labels_of(item)
    except ValueError as error:
        assembly.refuse(place, str(error))
        return
    assembly.add(
        text,
        place=place,
        id=_name(_first(item, _ID)),
        entities=entities,
        classes=classes,
        language=_name(item.get("language")),
        dataset=_name(item.get("dataset")),
    )


def _labels_of(item: dict[str, Any]) -> tuple[list[RawLabel] | None, list[str]]:
    spans = _first(item, _SPANS)
    given = _first(item, _CLASSES)
    if spans is None and isinstance(given, list) and given and not isinstance(given[0], str):
        spans = given
    if spans is not None:
        return list(_spans(spans)), []
    return None, _classes(given)


def _spans(values: object) -> Iterator[RawLabel]:
    if not isinstance(values, list):
        raise ValueError(f"entities: expected a list, got {type_name(values)}")  # noqa: TRY004 - a value from outside
    for i, value in enumerate(values):
        match value:
            case dict():
                start, end, category = _first(value, _START), _first(value, _END), _first(value, _CATEGORY)
            case list() if len(value) == _TRIPLE:
                start, end, category = value
            case _:
                raise ValueError(f"entities[{i}]: expected [start, end, label] or an object, got {type_name(value)}")
        if type(start) is not int or type(end) is not int or not isinstance(category, str):
            raise ValueError(f"entities[{i}]: expected two whole numbers and a label")
        yield RawLabel(category, start, end - start)


def _classes(given: object) -> list[str]:
    match given:
        case None:
            return []
        case str():
            return [given]
        case list() if all(isinstance(category, str) for category in given):
            return given
        case dict() if all(isinstance(score, int | float) for score in given.values()):
            return [category for category, score in given.items() if score >= 0.5]  # noqa: PLR2004 - spaCy's cats
    raise ValueError(f"label: expected a class or a list of classes, got {type_name(given)}")


def _first(item: dict[str, Any], names: Iterable[str]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _name(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and str(value) else None
