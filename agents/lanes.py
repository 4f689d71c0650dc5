"""A lane: an input topic and the output topic its results go to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from pydantic import ValidationError

from schemas.codecs.validation import shown_problems
from schemas.documents import Task
from schemas.topics import Topics


class Priority(IntEnum):
    """Which lane is served first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class Lane:
    """An input topic, its output topic, and how urgent it is."""

    input: str
    output: str
    priority: Priority = Priority.BULK


def default_lanes(topics: Topics) -> tuple[Lane, Lane]:
    """Return the namespace's own two lanes."""
    return (
        Lane(topics.requests, topics.replies, Priority.INTERACTIVE),
        Lane(topics.documents, topics.enriched),
    )


def parse_lane(text: str) -> Lane:
    """Read ``INPUT:OUTPUT`` or ``INPUT:OUTPUT:interactive``.

    Raises:
        ValueError: If ``text`` is neither.
    """
    match text.split(":"):
        case [source, target] if source and target and source != target:
            return Lane(source, target)
        case [source, target, "interactive"] if source and target and source != target:
            return Lane(source, target, Priority.INTERACTIVE)
    raise ValueError(f"lane {text!r}: expected INPUT:OUTPUT or INPUT:OUTPUT:interactive with two different topics")


def parse_task(text: str) -> Task:
    """Read ``PROJECT/DEPLOYMENT``.

    Raises:
        ValueError: If ``text`` is something else.
    """
    project, slash, deployment = text.partition("/")
    if not slash:
        raise ValueError(f"task {text!r}: expected PROJECT/DEPLOYMENT")
    try:
        return Task(project=project, deployment=deployment)
    except ValidationError as error:
        raise ValueError(f"task {text!r}: {'; '.join(shown_problems(error))}") from None


def lane_tasks(default_tasks: Iterable[str], topic: str) -> tuple[Task, ...]:
    """Return the default tasks of ``topic``: those written for it, and those written for all."""
    parted = [("", text) if "=" not in text else tuple(text.split("=", 1)) for text in default_tasks]
    return tuple(parse_task(task) for of, task in parted if of in {"", topic})
