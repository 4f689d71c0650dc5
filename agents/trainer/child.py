"""A training as a child process: what it reports, how it ended, and how it is stopped."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from schemas.errors import NoSpace, Unavailable

logger = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-m", "models.training")
_STOP_S: Final = 2.0
_LINE_BYTES: Final = 16 * 1024 * 1024
_ERROR_LINE: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z]\w{0,80})(?::.*)?")
"""The line after a traceback's frames. Of it only the class is kept: messages of libraries may quote documents."""
_TRY_AGAIN: Final = os.EX_TEMPFAIL
"""Exit code of a training that failed for something outside, such as a store that did not answer."""
_NO_SPACE: Final = os.EX_IOERR
"""Exit code of a training that found a disk full: the store's, or this machine's."""

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The training made a model, or measured one: ``report`` is its last line."""

    report: Report


@dataclass(frozen=True, slots=True)
class Failed:
    """The training cannot succeed, however often it is tried."""

    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Crashed:
    """The process died without saying how the training ended."""

    reason: str


Ended = Succeeded | Failed | Crashed


async def run_child(
    folder: Path, on_progress: Callable[[Report], Awaitable[None]], *, command: Sequence[str] = COMMAND
) -> Ended:
    """Train in a child process and return how it ended. Cancelling this stops the child within two seconds.

    The child leaves by itself when its standard input closes, which happens however this process ends.

    Args:
        folder: Holds the job and its documents.
        on_progress: Called with each report of progress, in order.
        command: The program and its first arguments.

    Raises:
        Unavailable: If something outside, such as the store, did not answer; the next attempt goes on from there.
        NoSpace: If a disk was full.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    errors = asyncio.create_task(_last_error(process.stderr), name="training-stderr")
    try:
        last = await _reports(process.stdout, on_progress)
        code = await process.wait()
        return _ended(last, code, await errors)
    finally:
        await _stop(process)
        errors.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await errors


def _ended(last: Report | None, code: int, error: str) -> Ended:
    match last:
        case {"event": "succeeded", "digest": str(), "evaluation": str()} if last is not None and code == 0:
            return Succeeded(last)
        case {"event": "failed", "problems": [*problems]} if code == _NO_SPACE:
            raise NoSpace("; ".join(map(str, problems)))
        case {"event": "failed", "problems": [*problems]} if code == _TRY_AGAIN:
            raise Unavailable("; ".join(map(str, problems)))
        case {"event": "failed", "problems": [*problems]}:
            return Failed([str(problem) for problem in problems])
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return Crashed(f"the training process ended with {how}{hint}: {error or 'it raised no error'}")


async def _reports(
    stdout: asyncio.StreamReader | None, on_progress: Callable[[Report], Awaitable[None]]
) -> Report | None:
    assert stdout is not None  # noqa: S101 - it was asked for
    last: Report | None = None
    while line := await stdout.readline():
        report = _report(line)
        if report is None:
            continue
        last = report
        if report["event"] == "progress":
            await on_progress(report)
    return last


def _report(line: bytes) -> Report | None:
    try:
        report = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None  # some library printed something
    return report if isinstance(report, dict) and "event" in report else None


async def _last_error(stderr: asyncio.StreamReader | None) -> str:
    assert stderr is not None  # noqa: S101 - it was asked for
    last, in_frames = "", False
    with contextlib.suppress(ValueError):  # a line beyond all bounds: what came before has to do
        while line := await stderr.readline():
            text = line.decode("utf-8", "replace").rstrip()
            if text.startswith("Traceback"):
                in_frames = True
            elif in_frames and text and not text[0].isspace():
                in_frames = False
                found = _ERROR_LINE.fullmatch(text)
                last = found[1] if found else last
    return last


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    if process.stdin:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        logger.warning("the training did not stop within %.0f s: killed", _STOP_S, extra={"action": "training_kill"})
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
