"""Checks what was decoded, and says what is wrong with it in sentences that show no value."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.codecs.json import type_name

MAX_MESSAGE_CHARS = 500

_EXPECTED = {
    "missing": "a value",
    "string_type": "text",
    "string_unicode": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "one of {expected}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_long": "at most {max_length} items",
}


def explain(error: ValidationError) -> str:
    """Return one sentence a field: where, what was expected, what was got. At most 500 characters, without values."""
    return bounded(sentences(error))


def sentences(error: ValidationError, *, within: str = "") -> list[str]:
    """Return one sentence a field, its place below ``within``."""
    return [_sentence(detail, within) for detail in error.errors(include_url=False)]


def bounded(problems: list[str]) -> str:
    """Join ``problems`` into at most 500 characters, saying how many were left out."""
    for n_shown in range(len(problems), 0, -1):
        rest = len(problems) - n_shown
        text = "; ".join(problems[:n_shown]) + (f"; and {rest} more" if rest else "")
        if len(text) <= MAX_MESSAGE_CHARS:
            return text
    return problems[0][: MAX_MESSAGE_CHARS - 1] + "…"


def path(location: tuple[int | str, ...]) -> str:
    """Write a place as ``tasks[0].project``."""
    return _steps(location).removeprefix(".") or "event"


def _steps(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _sentence(detail: ErrorDetails, within: str) -> str:
    place = path(detail["loc"]) if not within else within + _steps(detail["loc"])
    if detail["type"] == "value_error":
        return f"{place}: {detail['msg'].removeprefix('Value error, ')}"
    got = "nothing" if detail["type"] == "missing" else type_name(detail["input"])
    return f"{place}: expected {_expected(detail)}, got {got}"


def _expected(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    return _EXPECTED.get(detail["type"], f"something else ({detail['type']})").format_map(context)
