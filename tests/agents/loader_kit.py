"""A loader with a registry that tests write, and an engine without models."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agents.loader import Loader
from agents.metrics import Metrics
from agents.registry import Registry
from agents.serving import Served
from models.plans import Tuning
from schemas.control_events import ControlEvent, EventType
from schemas.records import Record, record_key
from tests.agents.echo import EchoEngine, project

KEY = ("loans", "production")


@dataclass
class FakeFollower:
    state: Registry = field(default_factory=Registry)
    listeners: list[Callable[[Registry], None]] = field(default_factory=list)
    unread: list[Record] = field(default_factory=list)

    def on_change(self, listener: Callable[[Registry], None]) -> None:
        self.listeners.append(listener)

    async def catch_up(self) -> Registry:
        self.put(*self.unread)
        return self.state

    def put(self, *records: Record) -> None:
        self.change({record_key(record): record for record in records})

    def change(self, changes: dict[str, Record | None]) -> None:
        self.state = self.state.after(changes)
        for listener in self.listeners:
            listener(self.state)


class Scene:
    def __init__(
        self,
        engine: EchoEngine,
        *records: Record,
        models_bytes: int = 1000,
        tuning_of: Callable[[Any], Tuning | None] = lambda _: None,
    ) -> None:
        self.engine = engine
        self.metrics = Metrics()
        self.follower = FakeFollower()
        self.follower.put(project(), *records)
        self.said: list[ControlEvent] = []
        self.heard = asyncio.Event()
        self.failures: asyncio.Queue[BaseException] = asyncio.Queue()
        self.loader = Loader(
            self.follower,
            engine=engine,
            route_topic=lambda name: f"n.routes.{name}",
            announce=self._announce,
            worker="w1",
            models_bytes=models_bytes,
            metrics=self.metrics,
            failed=self.failures.put_nowait,
            tuning_of=tuning_of,
        )

    def _announce(self, event: ControlEvent) -> None:
        self.said.append(event)
        self.heard.set()

    async def after(self, *records: Record) -> None:
        """Put records, and wait until the table has dealt with them."""
        self.heard.clear()
        self.follower.put(*records)
        await asyncio.wait_for(self.heard.wait(), 5)
        await asyncio.wait_for(self.loader.settle({KEY}), 5)

    def serves(self, name: str = "production") -> str | None:
        found = self.loader.table().deployments.get(("loans", name))
        return found.digest if isinstance(found, Served) else None

    async def settle(self, *names: str) -> None:
        await asyncio.wait_for(self.loader.settle({("loans", name) for name in names}), 5)

    def used(self, *names: str) -> None:
        self.loader.used([("loans", name) for name in names])

    def in_memory(self) -> list[str]:
        return sorted(self.engine.models)

    def counted(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)

    def events(self) -> list[tuple[EventType, str | None]]:
        return [(event.event, event.command_id) for event in self.said]


@asynccontextmanager
async def scene(
    engine: EchoEngine,
    *records: Record,
    models_bytes: int = 1000,
    tuning_of: Callable[[Any], Tuning | None] = lambda _: None,
) -> AsyncIterator[Scene]:
    made = Scene(engine, *records, models_bytes=models_bytes, tuning_of=tuning_of)
    await made.loader.start()
    try:
        yield made
    finally:
        await made.loader.stop()
