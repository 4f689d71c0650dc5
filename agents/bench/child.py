"""The parent's side of a subject: starts its process, asks it, ends it."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from agents.bench.subject import Spec
from agents.last_words import last_words
from schemas.errors import LexstreamError

_READY_S: Final = 180.0
_ANSWER_S: Final = 300.0
_STOP_S: Final = 5.0
"""One that is in the middle of something is killed: nothing that it has is needed."""
_LINE_BYTES: Final = 64 * 1024 * 1024


class Child:
    """One subject's process."""

    def __init__(self, process: asyncio.subprocess.Process, *, name: str, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, spec: Spec, *, log: Path) -> "Child":
        """Start a subject and return when it is ready.

        Raises:
            LexstreamError: It ended, or took too long.
        """
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "agents.bench.subject",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end the others in order
                env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"},
            )
        child = cls(process, name=spec.kind, log=log)
        try:
            await child._exchange(spec.to_json(), _READY_S)
        except BaseException:
            await child.stop()
            raise
        return child

    async def ask(self, question: str, **details: Any) -> dict[str, Any]:
        """Return the answer to a question."""
        return await self._exchange(orjson.dumps({"do": question, **details}, default=str), _ANSWER_S)

    def check(self) -> None:
        """See that it still runs.

        Raises:
            LexstreamError: It has ended.
        """
        if self._process.returncode is not None:
            raise self._ended()

    async def stop(self) -> None:
        """End it, in order where that works."""
        if self._process.returncode is None and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_S)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _exchange(self, line: bytes, patience_s: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise AssertionError("a subject without pipes")
        try:
            stdin.write(line + b"\n")
            await stdin.drain()
            answer = await asyncio.wait_for(stdout.readline(), patience_s)
        except TimeoutError as error:
            raise LexstreamError(f"the subject {self.name} did not answer within {patience_s:.0f} s") from error
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._ended() from error
        if not answer:
            raise self._ended()
        found: dict[str, Any] = orjson.loads(answer)
        return found

    def _ended(self) -> LexstreamError:
        said = last_words(self._log.read_text("utf-8", errors="replace")) or "it said nothing"
        return LexstreamError(f"the subject {self.name} ended: {said}")
