"""Commands whose transaction Kafka ended: tried again in the open, and not for ever. Without a broker."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from agents.control import controller as module
from agents.control import gaps, slow
from agents.control.slow import TRIES, SlowCommands, told_if_slow
from agents.registry import Registry
from agents.settings import Settings
from schemas.errors import Unavailable
from tests.agents.control_kit import settings_of
from tests.agents.control_log import CREATE, Log, controller_of, owner_of, partition_of


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.0)
    return settings_of("localhost:1", "fenced", tmp_path)


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.action for record in caplog.records if hasattr(record, "action")]


async def test_a_command_that_is_still_ours_is_tried_again_however_often_it_is_fenced_and_each_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(settings, CREATE)
    log.fenced = 5
    await owner_of(log, settings, monkeypatch).handle(CREATE[0], partition_of(settings), 0)
    assert [event["event"] for event in log.events] == ["accepted", "succeeded"]
    assert actions(caplog) == ["controller_retry"] * 5


async def test_a_command_of_a_partition_that_went_to_another_is_left_to_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(settings, CREATE)
    log.fenced = 1
    controller = owner_of(log, settings, monkeypatch)
    log.while_fenced = lambda: controller.on_revoked(None, [partition_of(settings)])
    await controller.handle(CREATE[0], partition_of(settings), 0)
    assert (log.events, log.committed) == ([], None)
    assert (log.taken_over, actions(caplog)) == (1, ["controller_retry", "controller_left"])


async def test_nothing_is_taken_over_for_a_command_whose_partition_went_to_another_while_it_waited_its_turn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(settings, CREATE)
    controller = owner_of(log, settings, monkeypatch)
    await controller._handling.acquire()
    waiting = asyncio.create_task(controller.handle(CREATE[0], partition_of(settings), 0))
    await asyncio.sleep(0)
    controller.on_revoked(None, [partition_of(settings)])
    controller._handling.release()
    await waiting
    assert (log.taken_over, log.events, actions(caplog)) == (0, [], ["controller_left"])


async def test_a_command_that_waits_for_kafka_or_the_store_is_left_to_whoever_has_its_partition_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(settings, CREATE)
    controller = owner_of(log, settings, monkeypatch)

    async def away(*_: object) -> int:
        controller.on_revoked(None, [partition_of(settings)])
        raise Unavailable("no answer")

    monkeypatch.setattr(gaps, "committed_offset", away)
    await controller.handle(CREATE[0], partition_of(settings), 0)
    assert (log.taken_over, actions(caplog)) == (1, ["controller_retry", "controller_left"])


async def test_a_look_that_finds_its_partition_gone_lets_go_of_what_it_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(settings, CREATE[:1])
    log.fenced = 1
    controller = owner_of(log, settings, monkeypatch, look_s=0.001)
    log.while_fenced = lambda: controller.on_revoked(None, [partition_of(settings)])
    await controller.start()
    async with asyncio.timeout(5):
        while "controller_left" not in actions(caplog):  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.001)
    await controller.stop()
    assert (log.taken_over, log.events, log.committed) == (1, [], None)


async def test_after_whatever_failed_the_id_is_taken_over_again_before_anything_is_decided(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    log.unreadable = 1
    controller = owner_of(log, settings, monkeypatch)
    for offset in (0, 1):
        await controller.handle(CREATE[offset], partition_of(settings), offset)
    assert (log.taken_over, log.committed) == (2, 2)


async def test_a_registry_that_is_hidden_for_long_is_read_again_after_the_id_was_taken_over_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)

    async def catch_up() -> Registry:
        if log.taken_over == 1:
            await asyncio.Event().wait()  # for a transaction of our own id, which only a take-over ends
        return log.state

    monkeypatch.setattr("agents.control.controller._READ_S", 0.01)
    monkeypatch.setattr(log, "catch_up", catch_up)
    await owner_of(log, settings, monkeypatch).handle(CREATE[0], partition_of(settings), 0)
    assert (log.taken_over, log.committed) == (2, 1)


async def test_partitions_that_were_revoked_are_not_ours(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = controller_of(Log(settings, []), settings, monkeypatch)
    controller.on_assigned(None, {TopicPartition(settings.topics.control, 0)})
    assert set(controller._idle()) == {TopicPartition(settings.topics.control, 0)}
    controller.on_revoked(None, {TopicPartition(settings.topics.control, 0)})
    assert set(controller._idle()) == set()


async def test_a_command_that_takes_longer_than_a_transaction_may_is_rejected_so_that_others_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(settings, CREATE)
    controller = owner_of(log, settings, monkeypatch)
    monkeypatch.setattr(controller, "_slow", SlowCommands(open_s=0.0))
    log.fenced = TRIES
    await controller.handle(CREATE[0], partition_of(settings), 0)
    (event,) = log.events
    assert (event["event"], event["commandId"]) == ("rejected", "a")
    assert "was still open after 0 s, 2 times" in event["details"]["problems"][0]
    assert log.state.project("a") is None
    await controller.handle(CREATE[1], partition_of(settings), 1)
    assert log.events[-1]["event"] == "succeeded"
    assert log.committed == 2


async def test_a_command_that_is_slow_once_is_done(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(settings, CREATE)
    log.fenced = TRIES - 1
    controller = owner_of(log, settings, monkeypatch)
    monkeypatch.setattr(controller, "_slow", SlowCommands(open_s=0.0))
    await controller.handle(CREATE[0], partition_of(settings), 0)
    assert [event["event"] for event in log.events] == ["accepted", "succeeded"]


async def test_a_command_that_takes_long_is_told_while_the_others_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slow, "_TOLD_S", 0.0)
    async with asyncio.timeout(5):
        with told_if_slow(7):
            while not actions(caplog):  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(0)
    assert actions(caplog) == ["controller_slow"]
    assert "command at offset 7 is not done" in caplog.text


async def test_a_command_that_is_done_soon_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with told_if_slow(7):
        await asyncio.sleep(0)
    assert actions(caplog) == []
