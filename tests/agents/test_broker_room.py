"""A broker whose disk is full: that is said, whatever Kafka itself names as the reason."""

import asyncio
import errno
import logging
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from agents.broker import LocalBroker, LocalCluster
from agents.broker.address import free_port, free_ports
from agents.broker.keeper import keep_running
from agents.broker.local import BrokerStatus
from agents.broker.process import Record, remember
from agents.broker.room import lack_of_room
from schemas.errors import NoSpace, Unavailable

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


_JAVA = """#!/bin/sh
case "$*" in *kafka.Kafka*) exec sleep 60 ;; esac
echo 'openjdk version "21.0.1" 2025-04-15' >&2
"""


@dataclass
class FullDisk:
    """Takes no record of a process that was started."""

    pids: list[int] = field(default_factory=list)
    refused: Callable[[], None] = lambda: None

    def remember(self, record: Record, *, path: Path) -> None:
        self.pids.append(record.pid)
        self.refused()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    made = FullDisk()
    monkeypatch.setattr("agents.broker.process.remember", made.remember)
    return made


@pytest.fixture
def broker(tmp_path: Path) -> LocalBroker:
    """One whose Java is a script, and whose Kafka sleeps."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(_JAVA)
    java.chmod(0o755)
    (tmp_path / "kafka" / "libs").mkdir(parents=True)
    (tmp_path / "kafka" / "libs" / "kafka_2.13-4.1.0.jar").touch()
    environment = {"JAVA_HOME": str(tmp_path / "java"), "KAFKA_HOME": str(tmp_path / "kafka")}
    return LocalBroker(tmp_path / "home", f"127.0.0.1:{free_port()}", environment=environment)


def test_a_broker_for_whose_record_there_is_no_room_is_killed_again(broker: LocalBroker, disk: FullDisk) -> None:
    with pytest.raises(NoSpace, match=r"no space left for .*broker\.json; make some"):
        broker.start()
    assert len(disk.pids) == 1
    assert not psutil.pid_exists(disk.pids[0])


async def test_up_goes_on_trying_to_start_a_broker_for_which_there_is_no_room(
    broker: LocalBroker, disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    loop, tried = asyncio.get_running_loop(), asyncio.Semaphore(0)

    def refused() -> None:
        loop.call_soon_threadsafe(tried.release)

    disk.refused = refused
    with caplog.at_level(logging.WARNING):
        keeper = asyncio.create_task(keep_running(broker, every_s=0.1))
        async with asyncio.timeout(10):
            await tried.acquire()
            await tried.acquire()
        assert not keeper.done()
        keeper.cancel()
    assert "the local broker: no space left for " in caplog.text


def test_a_broker_whose_start_is_interrupted_before_anybody_knows_of_it_is_killed_again(
    broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def interrupted(pid: int, *_: object) -> None:
        pids.append(pid)
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.broker.process.Record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        broker.start()
    assert [psutil.pid_exists(pid) for pid in pids] == [False]


def test_a_broker_that_dies_between_two_looks_at_it_is_unavailable_like_any_that_ended(
    broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, found = broker.status(), killed()
    record = Record(found.pid, 0.0, status.address, "4.1.0")
    status.data.parent.mkdir(parents=True)
    remember(record, path=status.data.parent / "broker.json")
    monkeypatch.setattr("agents.broker.process.find", lambda *_, **__: found)
    with pytest.raises(Unavailable, match="Kafka ended while it started"):
        broker.start()


def killed() -> psutil.Process:
    """Return a process that ran a moment ago."""
    with subprocess.Popen(["sleep", "60"]) as child:
        found = psutil.Process(child.pid)
        child.kill()
    return found


def test_a_home_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    with pytest.raises(Unavailable, match="home/broker: Not a directory"):
        LocalBroker(home, f"127.0.0.1:{free_port()}").start()
    with pytest.raises(Unavailable, match="home/broker: Not a directory"):
        LocalCluster(home, [f"127.0.0.1:{port}" for port in free_ports(3)]).start()
