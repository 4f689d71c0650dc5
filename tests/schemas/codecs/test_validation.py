"""What pydantic found, in our own words."""

from datetime import datetime
from typing import Any, Literal

import pytest
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError, create_model

from schemas.codecs.validation import sentences, shown_problems
from schemas.names import Category, Digest, Kind, Name, RouteName


def found(kind: Any, value: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (int, "x", "got 'x', expected an integer"),
        (int, 1.5, "got 1.5, expected an integer"),
        (float, "x", "got 'x', expected a number"),
        (bool, "x", "got 'x', expected true or false"),
        (bool, None, "got None, expected true or false"),
        (str, 7, "got 7, expected text"),
        (list[int], 7, "got 7, expected a list"),
        (dict[str, int], 7, "got 7, expected an object"),
        (Literal["a", "b"], "c", "got 'c', expected one of 'a' or 'b'"),
        (Kind, "poetry", "got 'poetry', expected one of 'CustomEntityRecognition', "),
        (AwareDatetime, datetime(2026, 1, 5), "expected a time with its zone, such as 2026-01-05T10:00:00Z"),  # noqa: DTZ001
        (AwareDatetime, "now", "got 'now', expected a time such as 2026-01-05T10:00:00Z"),
        (Name, "", "got '', expected at least 1 character"),
        (Name, "a b", "got 'a b', expected letters, digits, _ . - and nothing else"),
        (Name, "a" * 51, "expected at most 50 characters"),
        (RouteName, "a.b", "got 'a.b', expected letters, digits, _ - and nothing else"),
        (Digest, "sha256:1", "got 'sha256:1', expected a digest such as sha256:"),
        (Category, "a?", "expected a category with none of : $ & % * ( ) + ~ # / ? in it, got one with ?"),
    ],
)
def test_no_word_of_pydantic_reaches_a_reader(kind: Any, value: object, said: str) -> None:
    (sentence,) = shown_problems(found(kind, value))
    assert said in sentence
    assert "nput should" not in sentence


@pytest.mark.parametrize(
    ("bound", "said"),
    [({"gt": 9}, "more than 9"), ({"ge": 9}, "at least 9"), ({"lt": 1}, "less than 1"), ({"le": 1}, "at most 1")],
)
def test_bounds_are_told(bound: dict[str, int], said: str) -> None:
    model = create_model("Bounded", threads=(int, Field(**bound)))  # type: ignore[call-overload]
    assert shown_problems(found(model, {"threads": 5})) == [f"threads: got 5, expected {said}"]


def test_what_is_missing_or_too_much_is_told_with_its_place() -> None:
    inner = create_model("Inner", name=(str, ...), __config__={"extra": "forbid"})
    outer = create_model("Outer", parts=(list[inner], ...))
    assert shown_problems(found(outer, {"parts": [{"colour": "red"}]})) == [
        "parts[0].name: got nothing, expected a value",
        "parts[0].colour: got 'red', expected no field of that name",
    ]


def test_long_values_are_cut_secret_ones_and_those_of_documents_not_shown() -> None:
    model = create_model("Login", password=(int, ...))
    error = found(model, {"password": "hunter2" * 50})
    assert len(shown_problems(error)[0]) < 140
    assert shown_problems(error, secret={"password"}) == [
        "password: got a value that is not shown, expected an integer"
    ]
    assert "hunter2" not in sentences(error)[0]
