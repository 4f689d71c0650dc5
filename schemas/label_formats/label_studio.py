"""Label Studio's JSON export: ``labels`` of text (entities) and ``choices`` (classes).

https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks

Of a task that several people annotated, the first annotation that was not cancelled counts.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from schemas.errors import InvalidInput
from schemas.label_formats.assembly import Assembly
from schemas.label_set import LabelSet, RawLabel
from schemas.names import StringIndexType
from schemas.text_index import convert_spans


def read_label_studio(tasks: Iterable[object], *, name: str) -> LabelSet:
    """Return the documents in ``tasks``."""
    assembly = Assembly(name)
    for number, task in enumerate(tasks):
        place = f"[{number}]"
        try:
            _add(assembly, task, place)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, InvalidInput) as error:
            assembly.refuse(place, f"expected a task of Label Studio, got something else ({type(error).__name__})")
    return assembly.finished()


def _add(assembly: Assembly, task: Any, place: str) -> None:
    text = _text(task["data"])
    if text is None:
        assembly.refuse(place, "data: expected a field text, or one text only")
        return
    results = _results(task)
    entities: list[RawLabel] | None = None
    classes: list[str] = []
    for i, result in enumerate(results):
        value = result["value"]
        if result["type"] in {"labels", "hypertextlabels"}:
            found = _label(text, value)
            entities = entities or []
            if found is None:
                assembly.refuse(f"{place}.result[{i}]", "start and end do not fit the text that was labelled")
                return
            entities.append(found)
        elif result["type"] == "choices":
            classes += _choices(value["choices"])
    name = str(task["id"]) if "id" in task else None
    assembly.add(text, place=place, id=name and f"{name}.txt", entities=entities, classes=classes)


def _choices(given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(choice, str) for choice in given):
        raise TypeError
    return given


def _text(data: dict[str, Any]) -> str | None:
    if isinstance(data.get("text"), str):
        return str(data["text"])
    texts = [value for value in data.values() if isinstance(value, str)]
    return texts[0] if len(texts) == 1 else None


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    for annotation in task.get("annotations") or []:
        if not annotation.get("was_cancelled"):
            return list(annotation["result"])
    return []


def _label(text: str, value: dict[str, Any]) -> RawLabel | None:
    start, end, category = int(value["start"]), int(value["end"]), str(value["labels"][0])
    expected = value.get("text", text[start:end])
    for offset, length in _readings(text, start, end):
        if text[offset : offset + length] == expected:
            return RawLabel(category, offset, length)
    return None


def _readings(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    # NOTE: exports count code points or UTF-16 units, by version and tag; the labelled text tells which.
    yield start, end - start
    try:
        yield from convert_spans(
            text, [(start, end - start)], source=StringIndexType.UTF16, target=StringIndexType.CODE_POINT
        )
    except InvalidInput:
        return


def looks_like_label_studio(items: list[object]) -> bool:
    """Whether ``items`` are tasks of Label Studio."""
    return bool(items) and isinstance(items[0], dict) and "data" in items[0] and "annotations" in items[0]
