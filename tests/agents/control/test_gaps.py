"""Reading what waits in the control topic: in parts that fit the memory, and not without end; without a broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from agents.control import gaps
from agents.control.gaps import committed_offset, read_between
from agents.settings import Settings
from schemas.errors import Unavailable
from tests.agents.control_kit import settings_of

TP = TopicPartition("control", 0)


class Topic:
    """A consumer of a topic whose first offsets are gone; it hands out a few messages a poll."""

    def __init__(self, values: dict[int, bytes | None], *, end: int) -> None:
        self.values, self.end = values, end
        self.at = 0
        self.stuck = False
        self.during_poll: Callable[[], None] = lambda: None

    def assign(self, _partitions: list[TopicPartition]) -> None: ...

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self.at = offset

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, min(self.values))

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)

    async def position(self, _partition: TopicPartition) -> int:
        return self.at

    async def committed(self, _partition: TopicPartition) -> int | None:
        await asyncio.Event().wait()
        return None

    async def getmany(self, *_: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        assert max_records > 0, "as aiokafka demands"
        self.during_poll()
        await asyncio.sleep(0)
        offsets = [offset for offset in self.values if offset >= self.at][: min(2, max_records)]
        self.at = offsets[-1] + 1 if offsets else self.at if self.stuck else self.end
        return {TP: [SimpleNamespace(offset=offset, value=self.values[offset]) for offset in offsets]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of("localhost:1", "gaps", tmp_path)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic({offset: b"%d" % offset for offset in range(3, 10)}, end=10)

    @asynccontextmanager
    async def consuming(*_: object, **__: object) -> AsyncIterator[Topic]:
        yield made

    monkeypatch.setattr(gaps, "consuming", consuming)
    return made


async def read(settings: Settings, start: int | None, end: int | None = None) -> list[int]:
    async with asyncio.timeout(10):
        return [offset for offset, _ in await read_between(settings, TP, start=start, end=end)]


@pytest.mark.usefixtures("topic")
async def test_what_lies_between_two_offsets_is_read_in_order(settings: Settings) -> None:
    assert await read_between(settings, TP, start=4, end=6) == [(4, b"4"), (5, b"5")]
    assert await read(settings, None) == list(range(3, 10))
    assert await read(settings, None, 5) == [3, 4]
    assert await read(settings, 8, 100) == [8, 9]
    assert await read(settings, 10) == []


async def test_offsets_without_messages_are_passed(settings: Settings, topic: Topic) -> None:
    topic.values = {3: b"a", 7: None}
    assert await read(settings, 3) == [3, 7]


@pytest.mark.usefixtures("topic")
async def test_no_more_messages_are_read_at_once_than_fit_the_memory(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "_MOST", 3)
    assert await read(settings, 4) == [4, 5, 6]


async def test_no_more_bytes_are_read_at_once_than_fit_the_memory(settings: Settings, topic: Topic) -> None:
    topic.values = {offset: bytes(gaps._MOST_BYTES // 3) for offset in range(3, 10)}
    assert await read(settings, 3) == [3, 4, 5, 6]


@pytest.mark.usefixtures("topic")
async def test_a_group_whose_offset_nobody_tells_is_not_waited_for_without_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "_ANSWER_S", 0.001)
    with pytest.raises(Unavailable, match="did not tell within 0 s which commands wait"):
        await committed_offset(settings, "g", TP)


@pytest.fixture
async def slow(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> Topic:
    """Of which each poll takes more than half as long as we wait for an answer."""
    loop = asyncio.get_running_loop()
    time, passed = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: time() + sum(passed))
    topic.during_poll = lambda: passed.append(0.6 * gaps._ANSWER_S)
    return topic


@pytest.mark.usefixtures("slow")
async def test_reading_may_take_long_as_long_as_something_comes(settings: Settings) -> None:
    assert [offset for offset, _ in await read_between(settings, TP, start=3)] == list(range(3, 10))


async def test_a_topic_of_which_nothing_more_comes_is_not_waited_for_without_end(
    settings: Settings, slow: Topic
) -> None:
    slow.values, slow.stuck = {3: b"a"}, True
    with pytest.raises(Unavailable):
        await read_between(settings, TP, start=3)
