"""What the lanes' benchmark waits for, and what the memory benchmark does."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from benchmarks.lanes import answers, latencies
from benchmarks.worker_memory import read, stop
from schemas.errors import LexstreamError
from schemas.topics import Topics


class Slow:
    """Gives so many answers in each poll; none after that."""

    def __init__(self, *counts: int) -> None:
        self.counts = list(counts)

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[str]]:
        assert timeout_ms > 0
        await asyncio.sleep(0)
        count = self.counts.pop(0) if self.counts else 0
        return {TopicPartition("out", at): ["answer"] for at in range(count)}

    def consume(self, num_messages: int, *, timeout: float) -> Sequence[Any]:
        assert num_messages > 0
        assert timeout > 0
        return []


class Refusing:
    """Takes no event."""

    async def send_and_wait(self, *_: object, **_options: object) -> None:
        raise OSError("refused")


def alive() -> None:
    """See that the worker runs."""


def dead() -> None:
    raise LexstreamError("the worker ended")


async def test_it_goes_on_only_when_everything_was_answered() -> None:
    reader = Slow(0, 0, 1, 2, 5)
    assert len([each async for each in answers(reader, 3, check=alive)]) == 3
    assert reader.counts == [5]


async def test_an_answer_that_never_comes_is_not_waited_for_without_end() -> None:
    with pytest.raises(LexstreamError, match="1 answers are missing"):
        [each async for each in answers(Slow(2), 3, check=alive, patience_s=0.0)]


async def test_a_worker_that_ended_is_not_waited_for() -> None:
    with pytest.raises(LexstreamError, match="the worker ended"):
        [each async for each in answers(Slow(2), 3, check=dead)]


async def test_a_request_that_cannot_be_sent_is_not_waited_for() -> None:
    producer: Any = Refusing()
    with pytest.raises(OSError, match="refused"):
        await latencies(Topics(namespace="a"), producer, Slow(), ["text"], check=alive)


@pytest.fixture
def stubborn() -> Any:
    """A process that does not leave when it is told to."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_memory_is_not_measured_without_end(stubborn: "subprocess.Popen[bytes]") -> None:
    with pytest.raises(SystemExit, match="2 answers are missing"):
        read(Slow(), 2, worker=stubborn, patience_s=0.0)


def test_a_worker_that_does_not_leave_is_killed(
    stubborn: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.worker_memory.LEAVE_S", 0.1)
    stop(stubborn)
    assert stubborn.returncode == -9
    with pytest.raises(SystemExit, match="the worker ended with -9"):
        read(Slow(), 2, worker=stubborn)
