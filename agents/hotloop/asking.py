"""A window's events to their answers: who answers each, and what the models say. One call of the engine a window."""

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from agents.hotloop.answers import Asked
from agents.hotloop.decode import Item
from agents.inference import Answer, CallThread, Engine, Request
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


class Asking:
    """Asks the models.

    Args:
        tables: Where the serving table comes from.
        default_tasks: The tasks of documents that name none, by input topic.
        engine: Runs the models, in the thread ``inference``.
        inference: The thread.
        metrics: What is measured.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        default_tasks: Mapping[str, Sequence[Task]],
        engine: Engine,
        inference: CallThread,
        metrics: Metrics,
    ) -> None:
        self._tables = tables
        self._default_tasks = default_tasks
        self._engine = engine
        self._inference = inference
        self._metrics = metrics

    async def ask(self, items: Sequence[Item]) -> tuple[list[Asked], Routes]:
        """Return the events with their answers, in order, and the routes of the same moment."""
        await self._settle(items)
        table = self._tables.table()
        answerers = [self._answerers(table, item) for item in items]
        questions = {
            i: Request(item.content.text, tuple(served.model for served in who.served))
            for i, (item, who) in enumerate(zip(items, answerers, strict=True))
            if who.served and isinstance(item.content, DocumentEvent)
        }
        answers = await self._answers(questions)
        asked = [
            Asked(item, who, answers.get(i, ())) for i, (item, who) in enumerate(zip(items, answerers, strict=True))
        ]
        return asked, table.routes

    async def _answers(self, questions: Mapping[int, Request]) -> dict[int, Answer]:
        if not questions:
            return {}
        started = time.monotonic()
        requests = list(questions.values())
        found: Sequence[Answer] = await self._inference.run(lambda: self._engine.predict(requests))
        self._metrics.observe_stage("model", time.monotonic() - started)
        return dict(zip(questions, found, strict=True))

    async def _settle(self, items: Sequence[Item]) -> None:
        table = self._tables.table()
        missing = {key for item in items for key in table.missing(self._tasks(item))}
        if missing:
            await self._tables.settle(missing)

    def _answerers(self, table: ServingTable, item: Item) -> Answerers:
        if not isinstance(item.content, DocumentEvent):
            return NO_ONE
        return resolve(table, self._tasks(item), item.content.language)

    def _tasks(self, item: Item) -> Sequence[Task]:
        if not isinstance(item.content, DocumentEvent):
            return ()
        return item.content.tasks or self._default_tasks.get(item.record.topic, ())
