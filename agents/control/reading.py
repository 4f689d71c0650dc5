"""Reading a command from the bytes of the control topic, and saying all that is wrong with one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.codecs.validation import shown_problem
from schemas.commands import COMMAND, Command
from schemas.control_events import ControlEvent, EventType, few

_LONGEST_NAME = 200
MAX_COMMAND_BYTES = 256 * 1024
"""Far more than any command needs; what is wrong with one takes a hundred times its memory to say."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Bytes that are no command: all that is wrong, and what of them could be read."""

    problems: tuple[str, ...]
    command_id: str | None = None
    project: str = ""

    @property
    def event(self) -> ControlEvent:
        """The event that says so."""
        return ControlEvent(
            command_id=self.command_id,
            project=self.project,
            event=EventType.REJECTED,
            details={"problems": few(self.problems)},
        )


def read_command(value: bytes | None) -> Command | Invalid:
    """Return the command that ``value`` is, or what is wrong with it."""
    if value is None:
        return Invalid(("got a message without a value, expected a command in JSON",))
    if len(value) > MAX_COMMAND_BYTES:
        return Invalid((f"got {len(value)} bytes, expected a command of at most {MAX_COMMAND_BYTES}",))
    try:
        content = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return Invalid((f"got {len(value)} bytes that are no JSON ({error}), expected a command",))
    try:
        return COMMAND.validate_json(value)
    except ValidationError as error:
        problems = tuple(_problem(problem) for problem in error.errors(include_url=False))
    return Invalid(problems, _text(content, "id"), _text(content, "project") or "")


def _text(content: object, name: str) -> str | None:
    value = content.get(name) if isinstance(content, Mapping) else None
    return value[:_LONGEST_NAME] if isinstance(value, str) and value else None


def _problem(problem: ErrorDetails) -> str:
    # The first part of a place is the command's own name, which is the union's tag and no field.
    place = problem["loc"][1:] or problem["loc"]
    match problem["type"]:
        case "union_tag_not_found":
            return f"command: got nothing, expected one of: {_names()}"
        case "union_tag_invalid":
            return f"command: got {problem['ctx']['tag']!r}, expected one of: {_names()}"
    return shown_problem(problem, place)


def _names() -> str:
    schema = COMMAND.json_schema()
    return ", ".join(schema["discriminator"]["mapping"])
