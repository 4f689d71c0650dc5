"""Keeps child processes running: what dies is started again, and none outlives us. Knows nothing of what they do."""

import asyncio
import ctypes
import logging
import os
import random
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from agents.child_errors import ChildErrors
from agents.last_words import last_words

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Child:
    """A process to keep running. Its environment is ours with ``environment`` on top.

    ``hopeless`` are the exit codes that no restart can mend: then all are ended.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    hopeless: frozenset[int] = frozenset()


@dataclass(frozen=True)
class End:
    """How a run of a child ended: its exit code, negative after a signal, and the tail of its standard error."""

    child: Child
    code: int
    tail: str

    @property
    def hopeless(self) -> bool:
        """Whether another run would end in the same way."""
        return self.code in self.child.hopeless


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a child is started again: twice as long each time, until it stayed up for a while."""

    first_s: float = 0.5
    most_s: float = 30.0
    healthy_s: float = 60.0

    def count(self, failures: int, *, lasted_s: float) -> int:
        """Return how many failures in a row there are now, after a run that lasted ``lasted_s``."""
        return 1 if lasted_s >= self.healthy_s else failures + 1

    def delay_s(self, failures: int, *, jitter: float) -> float:
        """Return the wait after the given failures in a row; ``jitter``, 0 to 1, takes up to half of it away."""
        return float(min(self.most_s, self.first_s * 2 ** min(failures - 1, 32)) * (1 - jitter / 2))


def run(
    children: Sequence[Child],
    *,
    backoff: Backoff = Backoff(),
    patience_s: float = 15.0,
    beside: Sequence[Coroutine[Any, Any, None]] = (),
) -> int:
    """Keep ``children`` running until SIGINT or SIGTERM, or one is hopeless; then end them all.

    Returns:
        The exit code: 0, or that of the hopeless one, after a line with what it said.

    Args:
        children: What to start, all at once.
        backoff: When to start again what died.
        patience_s: How long a child may take to end before it is killed.
        beside: Further tasks, such as watching the broker; cancelled in the end. One that fails ends everything.
    """
    end = asyncio.run(_until_signal(children, backoff, patience_s, beside))
    if end is None:
        return 0
    said = last_words(end.tail) or "it did not say why"
    logger.error(
        "%s ended with exit code %d, which no restart can mend, so all was stopped: %s",
        end.child.name,
        end.code,
        said,
        extra={"action": "give_up"},
    )
    return end.code


async def _until_signal(
    children: Sequence[Child], backoff: Backoff, patience_s: float, beside: Sequence[Coroutine[Any, Any, None]]
) -> End | None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in beside]
        end = await supervise(children, stopping=stopping, backoff=backoff, patience_s=patience_s)
        await stopping.wait()
        for task in tasks:
            task.cancel()
    return end


async def supervise(
    children: Sequence[Child], *, stopping: asyncio.Event, backoff: Backoff, patience_s: float
) -> End | None:
    """Keep ``children`` running until ``stopping`` is set, or one is hopeless, which sets it.

    Returns:
        When all have ended: how the first hopeless one did, if there was one.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_keep(child, stopping=stopping, backoff=backoff, patience_s=patience_s))
            for child in children
        ]
    return next((end for task in tasks if (end := task.result())), None)


async def _keep(child: Child, *, stopping: asyncio.Event, backoff: Backoff, patience_s: float) -> End | None:
    failures = 0
    while not stopping.is_set():
        began = time.monotonic()
        end = await _run_once(child, stopping=stopping, patience_s=patience_s)
        if stopping.is_set():
            return None
        if isinstance(end, End) and end.hopeless:
            stopping.set()
            return end
        what = _outcome(end.code) if isinstance(end, End) else f"cannot be started ({end})"
        failures = backoff.count(failures, lasted_s=time.monotonic() - began)
        delay_s = backoff.delay_s(failures, jitter=random.random())  # noqa: S311 - no secret
        logger.warning("%s %s; starting it again in %.1f s", child.name, what, delay_s, extra={"action": "restart"})
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), delay_s)
    return None


async def _run_once(child: Child, *, stopping: asyncio.Event, patience_s: float) -> End | OSError:
    """Start the child and return, when it has ended, what became of it; end it when ``stopping`` is set."""
    errors = await ChildErrors.open()
    try:
        process = await _start(child, errors=errors.entrance)
    except OSError as error:
        errors.given()
        await errors.tail()
        return error
    errors.given()
    logger.info("%s started (pid %d)", child.name, process.pid, extra={"action": "start"})
    ended, asked = asyncio.create_task(process.wait()), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        await _end(child, process, patience_s=patience_s)
        tail = await errors.tail()
    return End(child, await ended, tail)


async def _start(child: Child, *, errors: int) -> Process:
    # A session of its own: Ctrl-C on the terminal reaches us alone, and we end the children in order.
    return await asyncio.create_subprocess_exec(
        *child.argv,
        env={**os.environ, **child.environment},
        stdin=DEVNULL,
        stderr=errors,
        start_new_session=True,
        preexec_fn=_die_with_parent if _LIBC else None,
    )


def _die_with_parent() -> None:
    """Runs in the child, before its program: Linux will kill it when the supervisor dies, even of SIGKILL."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


async def _end(child: Child, process: Process, *, patience_s: float) -> None:
    """End the child and whatever is left of its session."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), patience_s)
            logger.info("%s ended", child.name, extra={"action": "stop"})
        except TimeoutError:
            logger.warning("%s did not end in %.0f s: killed", child.name, patience_s, extra={"action": "kill"})
    with suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" of a session of zombies
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _outcome(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
