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
        if place := next(_lone_surrogates(value), None):
            raise InvalidEvent(place[:500]) from None
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


def _lone_surrogates(value: bytes) -> Iterator[str]:
    if b"\\u" not in value:
        return
    try:
        found = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return
    waiting: list[tuple[str, Any]] = [("", found)]
    while waiting:
        place, item = waiting.pop()
        match item:
            case str() if (position := _surrogate_in(item)) is not None:
                yield f"{place or 'value'}: expected text, got a lone surrogate at character {position}"
            case list():
                waiting += [(f"{place}[{i}]", child) for i, child in enumerate(item)]
            case dict():
                waiting += [(f"{place}.{_shown(key)}".lstrip("."), child) for key, child in item.items()]
                waiting += [(f"{place or 'value'} (name of a field)", key) for key in item]


def _surrogate_in(text: str) -> int | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _shown(key: str) -> str:
    return key if key.isascii() and key.isidentifier() and len(key) <= _MAX_SHOWN_CHARS else "…"
