"""Commands that were skipped, and commits whose answer got lost, without a broker."""

import asyncio
from pathlib import Path

import faust.types
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from agents.control import gaps
from agents.settings import Settings
from schemas.errors import Unavailable
from tests.agents.control_kit import settings_of
from tests.agents.control_log import CREATE, MOST, Log, controller_of, owner_of, partition_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of("localhost:1", "skipped", tmp_path)


async def test_commands_that_were_skipped_are_done_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(settings, CREATE)
    controller = owner_of(log, settings, monkeypatch)
    for offset in (0, 3):
        await controller.handle(CREATE[offset], partition_of(settings), offset)
    assert [event["project"] for event in log.events if event["event"] == "succeeded"] == ["a", "b", "c", "d"]
    assert log.committed == 4


async def test_more_commands_than_are_read_at_once_are_done_in_their_order(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    assert len(CREATE) > MOST + 1
    await owner_of(log, settings, monkeypatch).handle(CREATE[-1], partition_of(settings), len(CREATE) - 1)
    assert [event["project"] for event in log.events if event["event"] == "succeeded"] == ["a", "b", "c", "d"]
    assert (log.committed, log.looked) == (len(CREATE), 1)


async def test_commands_without_a_gap_need_no_look_at_the_groups_offset(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    controller = owner_of(log, settings, monkeypatch)
    for offset, value in enumerate(CREATE):
        await controller.handle(value, partition_of(settings), offset)
    assert (log.committed, log.looked) == (4, 1)


async def test_a_command_whose_commit_was_answered_by_nobody_is_answered_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, [b"no command"])
    log.lost_answers = 1
    controller = owner_of(log, settings, monkeypatch)
    await controller.handle(b"no command", partition_of(settings), 0)
    assert [event["event"] for event in log.events] == ["rejected"]
    assert log.committed == 1


async def test_commands_that_were_skipped_are_done_also_if_no_other_follows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    controller = controller_of(log, settings, monkeypatch, look_s=0.001)
    controller.on_assigned(None, {partition_of(settings), TopicPartition("another", 0)})
    await controller.start()
    async with asyncio.timeout(10):
        while log.committed != len(CREATE):  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.001)
    await controller.stop()
    assert [event["project"] for event in log.events if event["event"] == "succeeded"] == ["a", "b", "c", "d"]


async def test_partitions_are_looked_at_under_the_name_that_aiokafka_knows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: asyncio.Queue[object] = asyncio.Queue()

    async def noted(_settings: Settings, _group: str, partition: object) -> int:
        looked.put_nowait(partition)
        return 0

    controller = controller_of(Log(settings, []), settings, monkeypatch, look_s=0.001)
    monkeypatch.setattr(gaps, "committed_offset", noted)
    controller.on_assigned(None, {faust.types.TP(settings.topics.control, 0)})
    await controller.start()
    assert isinstance(await asyncio.wait_for(looked.get(), 5), TopicPartition)
    await controller.stop()


async def test_nothing_is_looked_for_in_partitions_of_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    controller = controller_of(log, settings, monkeypatch, look_s=0.0)
    controller.on_assigned(None, {TopicPartition("another", 0)})
    await controller.start()
    for _ in range(20):
        await asyncio.sleep(0)
    await controller.stop()
    assert (log.looked, log.committed) == (0, None)


async def test_something_unforeseen_while_looking_for_skipped_commands_ends_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> int:
        raise ValueError("boom")

    left: asyncio.Queue[BaseException] = asyncio.Queue()
    controller = controller_of(Log(settings, []), settings, monkeypatch, look_s=0.001, leave=left.put_nowait)
    monkeypatch.setattr(gaps, "committed_offset", broken)
    controller.on_assigned(None, {TopicPartition(settings.topics.control, 0)})
    await controller.start()
    assert str(await asyncio.wait_for(left.get(), 5)) == "boom"
    await controller.stop()


async def test_a_kafka_that_does_not_answer_is_looked_at_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    errors = [Unavailable("no answer"), OSError("no network"), UnknownTopicOrPartitionError()]

    async def at_last(*found: object) -> int | None:
        if errors:
            raise errors.pop()
        return await log.committed_offset(*found)

    controller = controller_of(log, settings, monkeypatch, look_s=0.001)
    monkeypatch.setattr(gaps, "committed_offset", at_last)
    controller.on_assigned(None, {TopicPartition(settings.topics.control, 0)})
    await controller.start()
    async with asyncio.timeout(10):
        while log.committed != len(CREATE):  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.001)
    await controller.stop()
    assert not errors
