"""A window's events to their answers: who answers each, and what the models say. One call of the engine a window."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agents.hotloop.answers import Asked
from agents.hotloop.decode import Item
from agents.inference import Answer, Engine, Request, Urgency
from agents.metrics import Metrics
from agents.routing import Routes
from agents.serving import Answerers, Key, ServingTable, resolve
from schemas.documents import DocumentEvent, Task


class Tables(Protocol):
    """Where the present serving table comes from."""

    def table(self) -> ServingTable:
        """Return the present table. Its models can be used as long as somebody holds them."""

    async def settle(self, keys: set[Key]) -> None:
        """Return when it is certain whether the deployments exist, and those that do are loaded or refused."""

    def used(self, keys: Collection[Key]) -> None:
        """Note which deployments a window asks."""


@dataclass(frozen=True, slots=True)
class Question:
    """A window in the model, and the routes of the moment in which it was asked."""

    items: Sequence[Item]
    answerers: Sequence[Answerers]
    routes: Routes
    answers: "asyncio.Future[dict[int, Answer]]"

    async def asked(self) -> list[Asked]:
        """Return the events with their answers, in order; without any if the question was withdrawn."""
        await asyncio.wait([self.answers])
        answers = {} if self.answers.cancelled() else self.answers.result()
        return [
            Asked(item, who, answers.get(i, []))
            for i, (item, who) in enumerate(zip(self.items, self.answerers, strict=True))
        ]


class Asking:
    """Asks the models.

    Args:
        tables: Where the serving table comes from.
        default_tasks: The tasks of documents that name none, by input topic.
        engine: Runs the models.
        metrics: What is measured.
    """

    def __init__(
        self, tables: Tables, *, default_tasks: Mapping[str, Sequence[Task]], engine: Engine, metrics: Metrics
    ) -> None:
        self._tables = tables
        self._default_tasks = default_tasks
        self._engine = engine
        self._metrics = metrics
        self._settled: dict[Key, int] = {}
        self._resolved = _Resolved(ServingTable())

    def look(self) -> None:
        """Look at the present serving table: ``ready`` and ``ask`` go by it until the next look.

        A model that is unloaded between the two is still in this table, so whoever was ready is answered.
        """
        if (table := self._tables.table()) is not self._resolved.table:
            self._resolved = _Resolved(table)

    def ready(self, item: Item) -> bool:
        """Whether the event can be answered now: what it asks is loaded, or certainly does not exist."""
        who = self._who(item)
        return not who.missing or all(
            key not in self._resolved.table.deployments and item.arrival <= self._settled.get(key, 0)
            for key in who.missing
        )

    async def settle(self, item: Item, *, last_arrival: int) -> None:
        """Return when the event can be answered, and any other up to ``last_arrival`` that asks for the same."""
        missing = self._who(item).missing
        await self._tables.settle(set(missing))
        self._settled = {key: at for key, at in self._settled.items() if key not in self._tables.table().deployments}
        if len(self._settled) >= _MOST_REMEMBERED:  # what does not exist is a publisher's to choose
            self._settled.clear()
        self._settled |= dict.fromkeys(missing, last_arrival)

    def ask(self, items: Sequence[Item], urgency: Urgency) -> Question:
        """Hand a window to the models."""
        answerers = [self._who(item).answerers for item in items]
        self._tables.used({(one.project, one.deployment) for who in answerers for one in who.served})
        questions = {
            i: Request(item.content.text, tuple(served.model for served in who.served))
            for i, (item, who) in enumerate(zip(items, answerers, strict=True))
            if who.served and isinstance(item.content, DocumentEvent)
        }
        return Question(
            items, answerers, self._resolved.table.routes, asyncio.ensure_future(self._answers(questions, urgency))
        )

    async def _answers(self, questions: Mapping[int, Request], urgency: Urgency) -> dict[int, Answer]:
        if not questions:
            return {}
        started = time.monotonic()
        found = await asyncio.wrap_future(self._engine.submit(list(questions.values()), urgency))
        self._metrics.observe_stage("model", time.monotonic() - started)
        return dict(zip(questions, found, strict=True))

    def _who(self, item: Item) -> "_Who":
        """Return who answers an event. Most events ask the same, so it is worked out once for each table."""
        event = item.content
        if not isinstance(event, DocumentEvent):
            return _NO_ONE
        tasks = event.tasks or self._default_tasks.get(item.record.topic, ())
        return self._resolved.who(tasks, event.language)


class _Who(NamedTuple):
    """Who answers an event, and what is missing for it."""

    answerers: Answerers
    missing: frozenset[Key]


_NO_ONE = _Who(Answerers((), ()), frozenset())
_MOST_REMEMBERED = 10_000


class _Resolved:
    """Who answers what, by one serving table."""

    def __init__(self, table: ServingTable) -> None:
        self.table = table
        self._known: dict[tuple[object, ...], _Who] = {}

    def who(self, tasks: Sequence[Task], language: str | None) -> _Who:
        key = (language, *[(task.project, task.deployment) for task in tasks])
        if (known := self._known.get(key)) is None:
            if len(self._known) >= _MOST_REMEMBERED:  # tasks and languages are a publisher's to choose
                self._known.clear()
            known = _Who(resolve(self.table, tasks, language), frozenset(self.table.missing(tasks)))
            self._known[key] = known
        return known
