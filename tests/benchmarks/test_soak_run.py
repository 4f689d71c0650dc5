"""A run of the soak on fakes: how it ends, whatever happens; and the parts that start and end processes and threads."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from agents.interrupts import interrupts_counted, terminated_like_interrupted
from agents.prove.timeline import Timeline
from agents.settings import Settings
from benchmarks.soak import __main__ as soak
from benchmarks.soak import run as running
from benchmarks.soak.deploying import Swapping, deployed
from benchmarks.soak.models import Models, prepared
from benchmarks.soak.report import Findings, Verdict, report
from benchmarks.soak.run import Order, Run
from benchmarks.soak.swaps import Swap
from benchmarks.soak.worker import Worker
from schemas.errors import LexstreamError

TOLD = signal.SIGINT, signal.SIGTERM


class FakeWorker:
    """Runs until it is told to leave."""

    pid = os.getpid()
    problem = ""
    ended = False

    def __init__(self, *_: object) -> None:
        pass

    def leave(self) -> None:
        pass

    def kill(self) -> None:
        pass


class FakePublisher:
    """Publishes nothing."""

    error = None

    def __init__(self, *_: object, **_options: object) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


class FakeReader:
    """Has seen something come out, and never reaches the end."""

    comes = True
    error: BaseException | None = None
    n_held_back = 0

    def __init__(self, _settings: object, _tally: object, timeline: Timeline) -> None:
        self.first = self
        self.start = timeline.begin

    def wait(self, _timeout_s: float) -> bool:
        return self.comes

    def finish(self, _patience_s: float) -> None:
        raise LexstreamError("the reader did not reach the end")

    def close(self) -> None:
        pass


class FakeSwapping:
    """Deploys at once."""

    error = None
    busy = False

    def __init__(self, *_: object, **_options: object) -> None:
        self.n_begun = 0
        self.swaps: list[Swap] = []

    def begin(self) -> None:
        self.n_begun += 1
        self.swaps.append(Swap(0.0, "v1", 0.1))


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        pass

    for name, fake in {
        "Worker": FakeWorker, "Publisher": FakePublisher, "Reader": FakeReader, "Swapping": FakeSwapping,
        "create_topics": nothing, "register": nothing,
    }.items():  # fmt: skip
        monkeypatch.setattr(running, name, fake)
    monkeypatch.setattr(FakeReader, "error", None)


def ended(folder: Path, on_moment: Callable[[float, str], None]) -> Findings:
    with ExitStack() as stack:
        models = Models({"v1": "a"}, {})
        run = Run(Settings(), Order(1, 10, 60), models, None, folder, stack, on_moment)
        run.begin()
        with interrupts_counted() as interrupts:
            run.go(interrupts)
            return run.findings()


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Ctrl-C means something, which it does not in what a shell starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeded")
def test_whoever_interrupts_a_run_and_its_end_gets_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "_published", lambda _: {("lexstream.documents", 0): 3})
    said: list[str] = []

    def interrupt(_at_s: float, doing: str) -> None:
        if not doing.startswith(("starting", "deploying")):
            said.append(doing)
            signal.raise_signal(TOLD[len(said) % 2])

    found = ended(tmp_path, interrupt)
    assert [each.partition(" ")[0] for each in said] == ["0", "3", "counting;"]
    assert found.interrupted
    assert found.published == 3
    assert len(found.samples) == 1


def test_what_fails_at_the_end_is_a_problem_of_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_: Run) -> dict[tuple[str, int], int]:
        raise LexstreamError("Kafka does not say how many events it has")

    monkeypatch.setattr(Run, "_published", silent)

    def fail(_at_s: float, doing: str) -> None:
        if "wait" in doing:
            monkeypatch.setattr(FakeReader, "error", ValueError("a riddle"))

    found = report(ended(tmp_path, fail))
    assert found["verdict"] == Verdict.NOT_STEADY
    assert found["problems"] == [
        "the reader failed: ValueError('a riddle')",
        "Kafka does not say how many events it has",
        "the reader did not reach the end",
    ]


def test_a_run_that_fails_before_anything_came_out_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeReader, "comes", False)
    monkeypatch.setattr(FakeReader, "error", ValueError("a riddle"))
    with pytest.raises(LexstreamError, match="the reader failed: ValueError"):
        ended(tmp_path, lambda *_: None)


async def test_a_swap_that_kafka_breaks_off_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> str:
        raise KafkaConnectionError("gone")

    monkeypatch.setattr("benchmarks.soak.deploying._deploy", broken)
    swap = await deployed(Settings(), "v2", now_s=lambda: 12.34)
    assert (swap.at_s, swap.label, swap.seconds) == (12.3, "v2", None)
    assert "gone" in swap.problem


def test_nothing_has_to_wait_for_a_model_that_is_being_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = threading.Semaphore(0), threading.Semaphore(0)

    async def slow(_settings: Settings, label: str, *, now_s: Callable[[], float]) -> Swap:
        asked.release()
        answer.acquire()
        if label == "v2":
            raise ValueError("a riddle")
        return Swap(now_s(), label, 1.0)

    monkeypatch.setattr("benchmarks.soak.deploying.deployed", slow)
    swapping = Swapping(Settings(), ["v1", "v2"], now_s=lambda: 5.0)
    for n_swaps in (1, 1):
        swapping.begin()
        asked.acquire()
        [thread] = [each for each in threading.enumerate() if each.name == "swap"]
        assert swapping.busy
        assert thread.daemon  # or the interpreter would wait for it
        answer.release()
        thread.join()
        assert len(swapping.swaps) == n_swaps
    assert not swapping.busy
    assert isinstance(swapping.error, ValueError)


def started(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> Worker:
    def start(_: Settings, log: Path) -> "subprocess.Popen[bytes]":
        with log.open("wb") as said:
            return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    monkeypatch.setattr("benchmarks.soak.worker.start_worker", start)
    return Worker(Settings(), folder / "log")


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_that_ends_by_itself_is_a_problem_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    said = "print('lexstream: no room'); print('leaving')"
    worker = started(monkeypatch, tmp_path, f"import sys; {said}; sys.exit({code})")
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    worker.leave()
    assert worker.ended
    assert worker.problem == f"the worker ended with {code}: no room"


def test_a_worker_that_leaves_when_it_is_told_to_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listening = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit())"
    worker = started(monkeypatch, tmp_path, f"{listening}; print('ready', flush=True); signal.pause()")
    while not (tmp_path / "log").read_text():
        assert not worker.ended
    worker.leave()
    worker.kill()
    assert not worker.ended
    assert worker.problem == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ["--minutes", "0"],
        ["--minutes", "inf"],
        ["--rate", "nan"],
        ["--rate", "-1"],
        ["--swap-s", "0"],
        ["--minutes", "0.001", "--rate", "0.1"],
        ["--judge", "nowhere.json"],
    ],
)
def test_what_makes_no_run_is_refused(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak", *wrong])
    with pytest.raises(SystemExit, match="2"):
        soak.parse()
    assert "error: expected" in capsys.readouterr().err


def _endless(store: str, folder: Path) -> Models:
    (folder / "begun").touch()
    threading.Event().wait()
    return Models({}, {"store": store})


def test_who_interrupts_the_making_of_models_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("benchmarks.soak.models._make", _endless)
    threading.Thread(target=interrupt, daemon=True).start()
    with terminated_like_interrupted(), pytest.raises(KeyboardInterrupt):
        prepared("", tmp_path)
    assert multiprocessing.active_children() == []
