"""Bytes of the control topic: commands, or everything that is wrong with them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.control.reading import Invalid, read_command
from schemas.commands import CreateProjectCommand
from schemas.control_events import EventType


def test_a_command_is_read() -> None:
    value = {"id": "1", "command": "createProject", "project": "a", "parameters": {"kind": "CustomEntityRecognition"}}
    assert isinstance(read_command(orjson.dumps(value)), CreateProjectCommand)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "got a message without a value"),
        (b"", "got 0 bytes that are no JSON"),
        (b"\xff", "got 1 bytes that are no JSON"),
        (b'"\\ud800"', "got 8 bytes that are no JSON"),
        (b"[1]", "got [1]"),
        (b"{}", "command: got nothing, expected one of: cancelJob, createProject"),
        (b'{"command": "fly"}', "command: got 'fly', expected one of: cancelJob"),
        (b'{"command": "train", "parameters": {"modelLabel": "v"}}', "project: got nothing, expected a value"),
        (
            b'{"command": "deleteProject", "project": "p", "parameters": {"x": 1}}',
            "parameters.x: got 1, expected no field of that name",
        ),
        (
            b'{"command": "deploy", "project": "p", "parameters": {"modelLabel": "a b"}}',
            "parameters.modelLabel: got 'a b', expected letters, digits",
        ),
    ],
)
def test_what_is_no_command_is_told_with_its_place(value: bytes | None, problem: str) -> None:
    found = read_command(value)
    assert isinstance(found, Invalid)
    assert any(problem in sentence for sentence in found.problems), found.problems


def test_all_problems_are_told_at_once_and_long_values_are_cut() -> None:
    parameters = {"modelLabel": "v" * 500, "trainingSplitPercentage": 100, "epochs": 0, "colour": "red"}
    found = read_command(orjson.dumps({"id": "7", "command": "train", "project": "loans", "parameters": parameters}))
    assert isinstance(found, Invalid)
    assert len(found.problems) == 4
    assert max(map(len, found.problems)) < 200
    assert (found.command_id, found.project) == ("7", "loans")
    assert found.event.event is EventType.REJECTED
    assert found.event.command_id == "7"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "project", "command", "parameters", "at"]), inner, max_size=4)
    ),
)


@given(st.binary(max_size=50) | JSON.map(orjson.dumps))
def test_nothing_breaks_the_reader(value: bytes) -> None:
    found = read_command(value)
    assert isinstance(found, Invalid)
    assert found.problems
    assert orjson.dumps(found.event.payload())
