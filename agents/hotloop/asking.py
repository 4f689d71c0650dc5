"""A window's events to their answers: who answers each, and what the models say. One call of the engine a window."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.hotloop.answers import Asked
from agents.hotloop.decode import Item
from agents.inference import Answer, Engine, Request, Urgency
from agents.metrics import Metrics
from agents.routing import Routes
from agents.serving import Answerers, Key, ServingTable, resolve
from schemas.documents import DocumentEvent, Task

NO_ONE = Answerers((), ())


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

    def ready(self, item: Item) -> bool:
        """Whether the event can be answered now: what it asks is loaded, or certainly does not exist."""
        table = self._tables.table()
        return all(
            key not in table.deployments and item.arrival <= self._settled.get(key, 0)
            for key in table.missing(self._tasks(item))
        )

    async def settle(self, item: Item, *, last_arrival: int) -> None:
        """Return when the event can be answered, and any other up to ``last_arrival`` that asks for the same."""
        missing = self._tables.table().missing(self._tasks(item))
        await self._tables.settle(missing)
        self._settled = {key: at for key, at in self._settled.items() if key not in self._tables.table().deployments}
        self._settled |= dict.fromkeys(missing, last_arrival)

    def ask(self, items: Sequence[Item], urgency: Urgency) -> Question:
        """Hand a window to the models."""
        table = self._tables.table()
        answerers = [self._answerers(table, item) for item in items]
        self._tables.used({(one.project, one.deployment) for who in answerers for one in who.served})
        questions = {
            i: Request(item.content.text, tuple(served.model for served in who.served))
            for i, (item, who) in enumerate(zip(items, answerers, strict=True))
            if who.served and isinstance(item.content, DocumentEvent)
        }
        return Question(items, answerers, table.routes, asyncio.ensure_future(self._answers(questions, urgency)))

    async def _answers(self, questions: Mapping[int, Request], urgency: Urgency) -> dict[int, Answer]:
        if not questions:
            return {}
        started = time.monotonic()
        found = await asyncio.wrap_future(self._engine.submit(list(questions.values()), urgency))
        self._metrics.observe_stage("model", time.monotonic() - started)
        return dict(zip(questions, found, strict=True))

    def _answerers(self, table: ServingTable, item: Item) -> Answerers:
        if not isinstance(item.content, DocumentEvent):
            return NO_ONE
        return resolve(table, self._tasks(item), item.content.language)

    def _tasks(self, item: Item) -> Sequence[Task]:
        if not isinstance(item.content, DocumentEvent):
            return ()
        return item.content.tasks or self._default_tasks.get(item.record.topic, ())
