"""A run that ends while its subjects get ready."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agents.bench.findings import Findings
from agents.bench.run import measure
from agents.bench.subject import Spec
from agents.bench.timetable import TITLES, Sizes
from agents.settings import Settings
from schemas.errors import LexstreamError

SIZES = Sizes(rounds=1, ticket_rounds=1, fast_s=1, slow_s=1, tuning_s=1, latency_s=1, latency_warm_s=1, n_echo=1)


@dataclass
class Subjects:
    """Start at once, but for one that never does; know who was ended."""

    slow: str
    waited_for: asyncio.Event = field(default_factory=asyncio.Event)
    problem: LexstreamError | None = None
    ready: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)

    async def start(self, spec: Spec, *, log: Path) -> "Subject":
        if spec.kind == self.slow:
            self.waited_for.set()
            if self.problem:
                raise self.problem
            await asyncio.Event().wait()
        self.ready.add(spec.kind)
        return Subject(spec.kind, self.stopped)


@dataclass
class Subject:
    name: str
    stopped: set[str]

    async def stop(self) -> None:
        self.stopped.add(self.name)


class NoTopics:
    def __init__(self, _: object) -> None:
        pass

    async def create(self) -> None:
        pass

    async def delete(self) -> None:
        pass


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Subjects], "asyncio.Task[Findings]"]:
    async def prepared(*_: object) -> tuple[Spec, Any]:
        return Spec("model", store="memory://", folder=str(tmp_path)), None

    def started(subjects: Subjects) -> "asyncio.Task[Findings]":
        monkeypatch.setattr("agents.bench.run.Child", subjects)
        return asyncio.create_task(measure(Settings(), sizes=SIZES, folder=tmp_path, on_step=lambda _: None))

    monkeypatch.setattr("agents.bench.run._prepared", prepared)
    monkeypatch.setattr("agents.bench.run.BenchTopics", NoTopics)
    return started


async def test_an_interrupt_while_a_subject_loads_ends_those_that_are_ready(
    start: Callable[[Subjects], "asyncio.Task[Findings]"],
) -> None:
    subjects = Subjects(slow=list(TITLES)[-1])
    measuring = start(subjects)
    await subjects.waited_for.wait()
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await measuring
    assert len(subjects.ready) == len(TITLES) - 1
    assert subjects.stopped == subjects.ready


async def test_a_subject_that_does_not_get_ready_ends_the_others(
    start: Callable[[Subjects], "asyncio.Task[Findings]"],
) -> None:
    subjects = Subjects(slow=next(iter(TITLES)), problem=LexstreamError("the subject ended: no memory"))
    with pytest.raises(LexstreamError, match="the subject ended: no memory"):
        await start(subjects)
    assert len(subjects.ready) == len(TITLES) - 1
    assert subjects.stopped == subjects.ready
