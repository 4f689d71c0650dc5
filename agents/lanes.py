"""A lane: an input topic and the output topic its results go to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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

    def __str__(self) -> str:
        return f"{self.input}:{self.output}"


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


def lane_problem(lanes: Sequence[Lane], topics: Topics) -> str | None:
    """Return what is wrong with ``lanes`` together, if anything.

    A lane may go on where another one ends; documents that come back to where they were would never end.
    """
    of_others = {
        topics.control,
        topics.control_events,
        topics.registry,
        topics.labels,
        topics.jobs,
        topics.dead_letters,
        topics.replays,
    }
    for lane in lanes:
        if taken := of_others & {lane.input, lane.output}:
            return f"lane {lane}: {taken.pop()} is one of our own topics, expected one for documents"
    outputs = {lane.input: lane.output for lane in lanes}
    if len(outputs) < len(lanes):
        twice = next(name for name, n_lanes in Counter(lane.input for lane in lanes).items() if n_lanes > 1)
        all_of_it = " and ".join(str(lane) for lane in lanes if lane.input == twice)
        return f"lanes {all_of_it}: {twice} is the input of more than one, expected one"
    for lane in lanes:
        if lane.input in _downstream(lane.output, outputs):
            return f"lane {lane}: documents come back to {lane.input} and would never end"
    return None


def _downstream(topic: str, outputs: Mapping[str, str]) -> set[str]:
    """Return where documents get to from ``topic``, itself included."""
    seen: set[str] = set()
    while topic not in seen:
        seen.add(topic)
        topic = outputs.get(topic, topic)
    return seen


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


def parse_default_task(text: str) -> tuple[str | None, Task]:
    """Read ``PROJECT/DEPLOYMENT`` or ``TOPIC=PROJECT/DEPLOYMENT``.

    Returns:
        The input topic whose documents ask it by default, or ``None`` for all; and the task.

    Raises:
        ValueError: If ``text`` is neither.
    """
    topic, parted, task = text.rpartition("=")
    return topic if parted else None, parse_task(task)


def default_task_problem(default_tasks: Iterable[str], lanes: Sequence[Lane]) -> str | None:
    """Return what is wrong with ``default_tasks`` beside ``lanes``, if anything.

    Raises:
        ValueError: If one of them is no default task.
    """
    inputs = sorted(lane.input for lane in lanes)
    for text in default_tasks:
        topic, _ = parse_default_task(text)
        if topic not in {None, *inputs}:
            return f"default_tasks {text}: {topic} is no input of a lane, expected one of {', '.join(inputs)}"
    return None


def lane_tasks(default_tasks: Iterable[str], topic: str) -> tuple[Task, ...]:
    """Return the default tasks of ``topic``: those written for it, and those written for all."""
    return tuple(task for of, task in map(parse_default_task, default_tasks) if of in {None, topic})
