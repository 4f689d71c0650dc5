"""Kafka as a controller sees it, in memory: commands, the group's offset, the registry and what transactions wrote."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from agents.control import gaps
from agents.control.controller import Controller
from agents.registry import Registry, decode_record
from agents.settings import Settings
from agents.writer import Entry
from models.store import Store
from schemas.errors import Fenced, Unavailable
from tests.agents.control_kit import command

MOST = 2
"""How many commands the log hands out at once."""


class Log:
    """What Kafka holds: the control topic, the group's offset, and what transactions wrote."""

    def __init__(self, settings: Settings, commands: list[bytes]) -> None:
        self.commands = commands
        self.committed: int | None = None
        self.state = Registry()
        self.events: list[dict[str, Any]] = []
        self.lost_answers = 0
        self.looked = 0
        self.while_fenced: Callable[[], None] = lambda: None
        self.fenced = 0
        self.unreadable = 0
        self.holds_id = False
        self.taken_over = 0
        self._topics = settings.topics

    async def catch_up(self) -> Registry:
        if self.unreadable and self.committed is not None:
            self.unreadable -= 1
            raise KafkaTimeoutError
        return self.state

    async def take_over(self) -> None:
        if not self.holds_id:
            self.holds_id = True
            self.taken_over += 1

    async def stop(self) -> None:
        self.holds_id = False

    async def commit(self, entries: Iterable[Entry], *, offset: tuple[TopicPartition, int] | None = None) -> None:
        if self.fenced:
            self.fenced -= 1
            self.holds_id = False
            self.while_fenced()
            raise Fenced("somebody else took over")
        for entry in entries:
            if entry.topic == self._topics.control_events:
                self.events.append(orjson.loads(entry.value or b""))
            elif change := decode_record(entry.key, entry.value):
                self.state = self.state.after(dict([change]))
        if offset:
            self.committed = offset[1]
        if self.lost_answers:
            self.lost_answers -= 1
            self.holds_id = False
            raise Unavailable("no answer")

    async def committed_offset(self, *_: object) -> int | None:
        self.looked += 1
        return self.committed

    async def read_between(
        self, *_: object, start: int | None, end: int | None = None
    ) -> list[tuple[int, bytes | None]]:
        found: list[tuple[int, bytes | None]] = list(enumerate(self.commands[:end]))
        return found[start or 0 :][:MOST]


CREATE = [
    orjson.dumps(command("createProject", name, id=name, kind="CustomEntityRecognition").payload()) for name in "abcd"
]


def controller_of(log: Log, settings: Settings, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Controller:
    """A controller whose Kafka is the log, to which nothing is assigned yet."""
    made = Controller(settings, log, Store(settings.store_url), **{"look_s": 3600.0} | options)
    monkeypatch.setattr(made, "_writer", log)
    monkeypatch.setattr(gaps, "committed_offset", log.committed_offset)
    monkeypatch.setattr(gaps, "read_between", log.read_between)
    return made


def owner_of(log: Log, settings: Settings, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Controller:
    """A controller whose Kafka is the log, and whose partition is the only one of the control topic."""
    made = controller_of(log, settings, monkeypatch, **options)
    made.on_assigned(None, [partition_of(settings)])
    return made


def partition_of(settings: Settings) -> TopicPartition:
    """The only partition of the control topic."""
    return TopicPartition(settings.topics.control, 0)
