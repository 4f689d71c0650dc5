"""The supervisor, with small children that report by a socket, so that nothing has to be waited for blindly."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agents.supervisor import Backoff, Child, run, supervise

QUICK = Backoff(first_s=0.01, most_s=0.02)
REPORT = "import os, signal, socket, sys; s = socket.create_connection(('127.0.0.1', int(os.environ['PORT'])));"
WAIT = "s.sendall(b'up\\n'); signal.pause()"


@dataclass
class Switchboard:
    """Where children call in; a call's end of file is the end of the child and of all it started."""

    port: int
    calls: asyncio.Queue[StreamReader]

    async def call(self) -> StreamReader:
        return await asyncio.wait_for(self.calls.get(), 20)

    def child(self, code: str, *, name: str = "child") -> Child:
        return Child(name, [sys.executable, "-S", "-c", REPORT + code], {"PORT": str(self.port)})


@asynccontextmanager
async def switchboard() -> AsyncIterator[Switchboard]:
    calls: asyncio.Queue[StreamReader] = asyncio.Queue()
    writers: list[StreamWriter] = []

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        writers.append(writer)
        await calls.put(reader)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Switchboard(server.sockets[0].getsockname()[1], calls)
    for writer in writers:
        writer.close()


@asynccontextmanager
async def supervised(*children: Child, patience_s: float = 20) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(supervise(children, stopping=stopping, backoff=QUICK, patience_s=patience_s))
    yield
    stopping.set()
    await asyncio.wait_for(task, 20)


async def ended(reader: StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), 20)


async def test_what_dies_is_started_again_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with switchboard() as board, supervised(board.child("sys.exit(3)", name="worker")):
        for _ in range(3):
            await ended(await board.call())
    assert caplog.text.count("worker ended with exit code 3; starting it again in") >= 2
    assert "worker started (pid " in caplog.text


async def test_a_child_that_was_killed_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    code = "s.sendall(b'%d\\n' % os.getpid()); signal.pause()"
    async with switchboard() as board, supervised(board.child(code)):
        first = int(await (await board.call()).readline())
        os.kill(first, signal.SIGKILL)
        assert int(await (await board.call()).readline()) != first
    assert "child was ended by SIGKILL" in caplog.text


async def test_the_others_run_on_when_one_dies() -> None:
    async with switchboard() as board, supervised(board.child(WAIT)):
        steady = await board.call()
        await steady.readline()
        async with supervised(board.child("sys.exit(1)")):
            await ended(await board.call())
            await ended(await board.call())
        assert not steady.at_eof()
    await ended(steady)


async def test_children_are_asked_to_end_and_may_finish() -> None:
    code = "signal.signal(15, lambda *_: (s.sendall(b'finished'), sys.exit(0))); s.sendall(b'up\\n'); signal.pause()"
    async with switchboard() as board:
        async with supervised(board.child(code)):
            reader = await board.call()
            assert await reader.readline() == b"up\n"
        assert await ended(reader) == b"finished"


async def test_a_child_that_does_not_listen_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    code = "signal.signal(15, signal.SIG_IGN); s.sendall(b'up\\n')\nwhile True: signal.pause()"
    async with switchboard() as board:
        async with supervised(board.child(code), patience_s=0.05):
            reader = await board.call()
            await reader.readline()
        assert await ended(reader) == b""
    assert "child did not end in 0 s: killed" in caplog.text


async def test_what_a_child_leaves_behind_is_killed_too() -> None:
    async with switchboard() as board, supervised(board.child("sys.exit(0) if os.fork() else signal.pause()")):
        assert await ended(await board.call()) == b""


async def test_a_program_that_is_not_there_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    stopping = asyncio.Event()
    tried = asyncio.Event()

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if caplog.text.count("cannot be started") >= 2:
                tried.set()

    handler = Count()
    logging.getLogger().addHandler(handler)
    task = asyncio.create_task(
        supervise([Child("gone", ["/no/such/program"], {})], stopping=stopping, backoff=QUICK, patience_s=1)
    )
    await asyncio.wait_for(tried.wait(), 20)
    logging.getLogger().removeHandler(handler)
    stopping.set()
    await task
    assert "gone cannot be started" in caplog.text


SUPERVISOR = """
import os, sys
from agents.supervisor import Child, run
sys.exit(run([Child("child", [sys.executable, "-S", "-c", sys.argv[1]], {})]))
"""


def in_a_process(board: Switchboard) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-c", SUPERVISOR, REPORT + WAIT]
    return subprocess.Popen(argv, env={**os.environ, "PORT": str(board.port)}, cwd=root)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_and_sigterm_end_all_and_the_exit_code_is_0(number: signal.Signals) -> None:
    async with switchboard() as board:
        process = in_a_process(board)
        reader = await board.call()
        await reader.readline()
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert await ended(reader) == b""


if sys.platform == "linux":  # elsewhere nothing ends the children of a parent that was killed

    async def test_no_child_outlives_a_supervisor_that_was_killed() -> None:
        async with switchboard() as board:
            process = in_a_process(board)
            reader = await board.call()
            await reader.readline()
            process.kill()
            assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
            assert await ended(reader) == b""


HOPELESS = frozenset({2})


def test_a_child_that_no_restart_can_mend_ends_all_with_its_code_and_its_words(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('lexstream: topic x is too narrow', file=sys.stderr); sys.exit(2)"
    bad = Child("worker-1", [sys.executable, "-S", "-c", code], {}, hopeless=HOPELESS)
    steady = Child("trainer-1", [sys.executable, "-S", "-c", "import signal; signal.pause()"], {}, hopeless=HOPELESS)
    assert run([steady, bad], patience_s=20) == 2
    said = caplog.messages[-1]
    assert said.startswith("worker-1 ended with exit code 2, which no restart can mend, so all was stopped: ")
    assert said.endswith(": topic x is too narrow")
    assert "starting it again" not in caplog.text
    assert "topic x is too narrow" in capfd.readouterr().err


async def test_a_child_that_crashes_is_started_again_though_it_could_be_hopeless(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async with switchboard() as board:
        child = board.child("print('half', end='', file=sys.stderr); sys.exit(3)")
        async with supervised(replace(child, hopeless=HOPELESS)):
            for _ in range(2):
                await ended(await board.call())
    assert "ended with exit code 3; starting it again in" in caplog.text
    assert "half" in capfd.readouterr().err


def test_tasks_beside_the_children_are_cancelled_in_the_end() -> None:
    seen: list[str] = []

    async def beside() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    assert run([], beside=[beside()]) == 0
    assert seen == ["cancelled"]


def test_a_task_beside_that_fails_ends_the_children_and_is_told() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        run([Child("child", [sys.executable, "-c", "import signal; signal.pause()"], {})], beside=[fail()])
    assert caught.group_contains(ValueError, match="broken")


def test_the_wait_doubles_up_to_its_bound_and_jitter_shortens_it() -> None:
    backoff = Backoff(first_s=0.5, most_s=30)
    assert [backoff.delay_s(n, jitter=0) for n in (1, 2, 3, 8, 10_000)] == [0.5, 1, 2, 30, 30]
    assert backoff.delay_s(2, jitter=1) == 0.5


def test_a_minute_of_health_forgives_what_was_before() -> None:
    backoff = Backoff(healthy_s=60)
    assert backoff.count(5, lasted_s=59) == 6
    assert backoff.count(5, lasted_s=60) == 1
