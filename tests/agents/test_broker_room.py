"""A broker whose disk is full: that is said, whatever Kafka itself names as the reason."""

import asyncio
import logging
import shutil
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.broker.keeper import keep_running
from agents.broker.local import BrokerStatus
from agents.broker.room import lack_of_room

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 1 << 30, 4096))


@pytest.mark.usefixtures("full")
def test_a_full_disk_is_said_with_what_to_do() -> None:
    assert lack_of_room(Path("data")) == "; the disk of data is full (4 kB free): make room there"


def test_of_a_disk_with_room_or_of_none_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lack_of_room(tmp_path / "not made yet") == ""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 40))
    assert lack_of_room(tmp_path) == ""


@dataclass
class Dead:
    """A broker that died and starts again at once."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def status(self) -> BrokerStatus:
        return BrokerStatus(self.started.is_set(), "127.0.0.1:1", Path("data"), Path("log"))

    def start(self) -> BrokerStatus:
        self.loop.call_soon_threadsafe(self.started.set)
        return self.status()


@pytest.mark.usefixtures("full")
async def test_up_says_why_its_broker_died_of_a_full_disk(caplog: pytest.LogCaptureFixture) -> None:
    broker = Dead()
    with caplog.at_level(logging.WARNING):
        keeper = asyncio.create_task(keep_running(broker, every_s=0.01))
        await asyncio.wait_for(broker.started.wait(), 10)
        keeper.cancel()
    assert "the local broker died; starting it again; the disk of data is full (4 kB free)" in caplog.text
