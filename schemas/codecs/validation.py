"""Says what is wrong with what was read.

Sentences about documents show no value; those about settings and commands, which their author reads, do.
"""

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.codecs.json import type_name
from schemas.names import PATTERNS

MAX_MESSAGE_CHARS = 500
_SHOWN_CHARS = 80

_EXPECTED = {
    "missing": "a value",
    "string_type": "text",
    "string_unicode": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "a smaller integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "one of {expected}",
    "enum": "one of {expected}",
    "extra_forbidden": "no field of that name",
    "path_type": "a path",
    "timezone_aware": "a time with its zone, such as 2026-01-05T10:00:00Z",
    "datetime_type": "a time such as 2026-01-05T10:00:00Z",
    "datetime_parsing": "a time such as 2026-01-05T10:00:00Z",
    "datetime_from_date_parsing": "a time such as 2026-01-05T10:00:00Z",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
}


def explain(error: ValidationError) -> str:
    """Return one sentence a field: where, what was expected, what was got. At most 500 characters, without values."""
    return bounded(sentences(error))


def sentences(error: ValidationError, *, within: str = "") -> list[str]:
    """Return one sentence a field, its place below ``within``."""
    return [_sentence(detail, within) for detail in error.errors(include_url=False)]


def shown_problems(error: ValidationError, *, secret: Collection[str] = ()) -> list[str]:
    """Return one sentence a field with the value that was got: for the author of a setting, an option or a command.

    Args:
        error: What pydantic found. Never of a document: its text would be shown.
        secret: Fields whose values are not shown.
    """
    return [shown_problem(detail, detail["loc"], secret=secret) for detail in error.errors(include_url=False)]


def shown_problem(detail: ErrorDetails, location: tuple[int | str, ...], *, secret: Collection[str] = ()) -> str:
    """Return the sentence for one of pydantic's findings: its place, what was got, what was expected."""
    place = f"{_steps(location).removeprefix('.')}: " if location else ""
    if detail["type"] == "missing":
        return f"{place}got nothing, expected {_expected(detail)}"
    if message := _own_words(detail):
        return f"{place}{message}"
    got = "a value that is not shown" if set(location[:1]) & set(secret) else _shown(detail["input"])
    return f"{place}got {got}, expected {_expected(detail)}"


def _own_words(detail: ErrorDetails) -> str | None:
    """Return the sentence of a check of ours."""
    return detail["msg"].removeprefix("Value error, ") if detail["type"] == "value_error" else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


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
    return "".join(f"[{step}]" if isinstance(step, int) else f".{plain(step)}" for step in location)


def plain(name: str) -> str:
    """Return a name from outside for a sentence: at most 80 characters, on one line, nothing that moves a cursor."""
    shown = name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"
    return shown if shown.isprintable() else repr(shown)[1:-1]


def _sentence(detail: ErrorDetails, within: str) -> str:
    place = path(detail["loc"]) if not within else within + _steps(detail["loc"])
    if message := _own_words(detail):
        return f"{place}: {message}"
    got = "nothing" if detail["type"] == "missing" else type_name(detail["input"])
    return f"{place}: expected {_expected(detail)}, got {got}"


def _expected(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    if words := PATTERNS.get(context.get("pattern", "")):
        return words
    known = _EXPECTED.get(detail["type"], f"something else ({detail['type']})").format_map(context)
    return known.removesuffix("s") if known in _ONE else known


_ONE = {"at least 1 characters", "at most 1 characters", "at least 1 items", "at most 1 items"}
