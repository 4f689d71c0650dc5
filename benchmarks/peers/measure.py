"""One measurement: start a subject, warm it up, give it the documents, read its answers, stop it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from agents.last_words import last_words
from benchmarks.peers.judging import Span, Verdict, judge
from benchmarks.peers.programs.common import Setup
from benchmarks.peers.stream import Arrival, Stream
from benchmarks.peers.subject import ROOT, Document, Subject
from benchmarks.peers.usage import Usage

_START_S = 120.0
_PROBE_EVERY_S = 1.0
_POLL_S = 0.2
_STRAGGLERS_S = 2.0
_STOP_S = 10.0
_MOST_CHARS = 300
OnProgress = Callable[[int], None]


@dataclass(frozen=True)
class Load:
    """What a subject is given, and what is right.

    Attributes:
        warm_up: Answered before the clock starts.
        documents: Measured.
        expected: The spans of each measured document.
        timeout_s: How long the measured documents may take.
    """

    warm_up: Sequence[Document]
    documents: Sequence[Document]
    expected: Mapping[str, frozenset[Span]]
    timeout_s: float


@dataclass(frozen=True)
class Measurement:
    """What one run of one subject gave.

    Attributes:
        seconds: From when the first document was published to when the last answer could be read.
        cpu_s: Of the subject's processes in that time.
        peak_bytes: Of their resident memory, from their start on.
        problem: Why it is not complete, if it is not.
    """

    subject: str
    n_documents: int
    verdict: Verdict
    seconds: float
    cpu_s: float
    peak_bytes: int
    problem: str = ""

    @property
    def documents_per_s(self) -> float:
        """Answered documents a second."""
        return self.verdict.n_answered / self.seconds if self.seconds else 0.0


class Died(Exception):
    """A subject's process ended, or never answered."""


def measure(subject: Subject, load: Load, *, setup: Setup, on_progress: OnProgress) -> Measurement:
    """Run ``subject`` once. What it started is gone when this returns."""
    with ExitStack() as stack:
        try:
            subject.prepare(setup)
        except subprocess.CalledProcessError as error:
            return _nothing(subject, load, f"cannot be prepared: {' '.join(error.cmd)} left with {error.returncode}")
        stream = stack.enter_context(Stream(setup.brokers, input=setup.input, output=setup.output))
        process = _start(subject, setup)
        stack.callback(_end, process)
        usage = stack.enter_context(Usage(process.pid))
        run = _Run(subject, stream, process, on_progress)
        try:
            run.warm_up(load.warm_up)
        except Died as error:
            said = last_words((Path(setup.state) / "log").read_text("utf-8", errors="replace")) or "it said nothing"
            problem = f"{error}: {said[:_MOST_CHARS]}"
            return _nothing(subject, load, problem, peak_bytes=usage.peak_bytes)
        return run.timed(load, usage=usage)


def _nothing(subject: Subject, load: Load, problem: str, *, peak_bytes: int = 0) -> Measurement:
    verdict = judge([], load.expected)
    return Measurement(subject.name, len(load.documents), verdict, 0, 0, peak_bytes, problem)


class _Run:
    """A started subject and its stream."""

    def __init__(
        self, subject: Subject, stream: Stream, process: "subprocess.Popen[bytes]", on_progress: OnProgress
    ) -> None:
        self._subject = subject
        self._stream = stream
        self._process = process
        self._on_progress = on_progress

    def warm_up(self, documents: Sequence[Document]) -> None:
        """Return when all ``documents`` are answered."""
        deadline = time.monotonic() + _START_S
        if self._subject.sees_only_new:
            self._probe(documents[0], deadline)
        self._publish(documents)
        _, missing = self._collect({document.id for document in documents}, deadline=deadline)
        if missing:
            raise Died(f"{len(missing)} of {len(documents)} warm-up documents without an answer")

    def timed(self, load: Load, *, usage: Usage) -> Measurement:
        """Publish the documents and read until all are answered."""
        before_s, begun_s = usage.cpu_s(), time.monotonic()
        self._publish(load.documents)
        wanted = {document.id for document in load.documents}
        arrivals, missing = self._collect(wanted, deadline=begun_s + load.timeout_s, show=True)
        cpu_s = usage.cpu_s() - before_s
        ended_s = arrivals[-1].at_s if arrivals else begun_s
        arrivals += self._stragglers()
        verdict = judge([self._subject.answer(each.message) for each in arrivals], load.expected)
        problem = (
            f"{verdict.n_answered} of {len(wanted)} answered in {time.monotonic() - begun_s:.0f} s" if missing else ""
        )
        return Measurement(
            self._subject.name, len(wanted), verdict, ended_s - begun_s, cpu_s, usage.peak_bytes, problem
        )

    def _publish(self, documents: Sequence[Document]) -> None:
        self._stream.publish((self._subject.message(document), document.shard) for document in documents)

    def _probe(self, document: Document, deadline: float) -> None:
        while time.monotonic() < deadline and self._process.poll() is None:
            self._stream.publish([(self._subject.message(document), document.shard)])
            if self._stream.read(_PROBE_EVERY_S):
                return
        raise Died("no answer to the first document")

    def _collect(self, wanted: set[str], *, deadline: float, show: bool = False) -> tuple[list[Arrival], set[str]]:
        """Read until all ``wanted`` are answered; return the answers and which are missing."""
        arrivals: list[Arrival] = []
        missing = set(wanted)
        while missing and time.monotonic() < deadline and self._process.poll() is None:
            came = self._stream.read(_POLL_S)
            arrivals += came
            missing -= {self._subject.answer(each.message).id for each in came}
            if show:
                self._on_progress(len(wanted) - len(missing))
        return arrivals, missing

    def _stragglers(self) -> list[Arrival]:
        """Return what comes after all is answered: duplicates."""
        deadline = time.monotonic() + _STRAGGLERS_S
        came: list[Arrival] = []
        while time.monotonic() < deadline:
            came += self._stream.read(_POLL_S)
        return came


def _start(subject: Subject, setup: Setup) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **setup.environment(), **subject.environment}
    with (Path(setup.state) / "log").open("wb") as log:
        return subprocess.Popen(
            subject.command(setup), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the process to go, then kill it and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP_S)
