"""JSON, read and written by orjson.

What orjson refuses is refused: NaN and Infinity, numbers beyond a double, control characters within strings, a byte
order mark, more than 1,024 levels. An integer beyond 64 bits becomes the nearest double, as RFC 8259 §6 warns.
"""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson

from schemas.errors import DecodeError, EncodeError, InvalidEvent

_MAX_SHOWN_CHARS = 40
_MAX_PLACE_CHARS = 500
_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    dict: "an object",
}


def decode_object(value: bytes) -> dict[str, Any]:
    """Return the JSON object that ``value`` holds.

    Raises:
        DecodeError: If it holds none.
        InvalidEvent: If the only thing wrong is a string that is no text: half of a surrogate pair.
    """
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if problem := _lone_surrogate(value):
            raise InvalidEvent(problem[-_MAX_PLACE_CHARS:]) from None
        # NOTE: the cause carries the whole document, so it does not go along into a log.
        raise DecodeError(f"expected JSON: {error}") from None
    if not isinstance(found, dict):
        raise DecodeError(f"expected a JSON object, got {type_name(found)}")
    return found


def encode_object(value: object) -> bytes:
    """Return ``value`` as JSON.

    Raises:
        EncodeError: If it cannot be written.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise EncodeError(f"expected something that JSON can hold: {error}") from None


def type_name(value: object) -> str:
    """Say what ``value`` is in JSON's words, without showing it."""
    match value:
        case str():
            return f"text of {len(value)} characters" if value else "empty text"
        case list():
            return f"a list of {len(value)}"
    return _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _lone_surrogate(value: bytes) -> str | None:
    if b"\\u" not in value:
        return None
    try:
        found = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    # A place is written only where something is found: a million places of a thousand steps would fill the memory.
    levels: list[Iterator[tuple[str, object]]] = [iter([("", found)])]
    place = [""]
    while levels:
        if (child := next(levels[-1], None)) is None:
            levels.pop()
            place.pop()
            continue
        place[-1], item = child
        if isinstance(item, str) and (position := _surrogate_in(item)) is not None:
            return f"{_written(place)}: expected text, got a lone surrogate at character {position}"
        if isinstance(item, list | dict):
            levels.append(_children(item))
            place.append("")
    return None


def _children(item: list[object] | dict[str, object]) -> Iterator[tuple[str, object]]:
    if isinstance(item, list):
        yield from ((f"[{i}]", child) for i, child in enumerate(item))
        return
    for key, child in item.items():
        yield " (name of a field)", key
        yield f".{_shown(key)}", child


def _written(place: list[str]) -> str:
    text = "".join(place).lstrip(".")
    return text if text and not text.startswith(" ") else f"value{text}"


def _surrogate_in(text: str) -> int | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _shown(key: str) -> str:
    return key if key.isascii() and key.isidentifier() and len(key) <= _MAX_SHOWN_CHARS else "…"
