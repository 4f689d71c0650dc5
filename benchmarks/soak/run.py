"""A whole run: a broker, a worker, events at a steady rate, swaps, samples, and the count at the end."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agents.bench.documents import mixed
from agents.prove.clients import consumer_options
from agents.prove.events import PARTITIONS, LaneName
from agents.prove.publisher import Publisher
from agents.prove.reader import Reader
from agents.prove.timeline import Timeline
from agents.settings import Settings
from agents.topics import create_topics
from benchmarks.soak.deploying import TASK, deploy, register
from benchmarks.soak.events import Traffic
from benchmarks.soak.models import Models
from benchmarks.soak.report import Findings, Swap
from benchmarks.soak.sampling import Sample, read
from benchmarks.soak.tally import Tally
from benchmarks.soak.trends import swap_due_s, warm_up_s
from benchmarks.soak.worker import start_worker
from models.tuning.machine import this_machine
from schemas.errors import LexstreamError

SAMPLE_S = 5.0
_TICK_S = 0.2
_FIRST_S = 60.0
_SILENCE_S = 90.0
_LEAVE_S = 30.0
_READ_S = 60.0
_ASK_S = 10.0
_N_TEXTS = 2000


@dataclass(frozen=True)
class Order:
    """What is asked of a run.

    Attributes:
        minutes: How long events are published.
        rate: How many a second.
        swap_s: Seconds from one swap to the next, after the warm-up.
    """

    minutes: float
    rate: float
    swap_s: float

    @property
    def seconds(self) -> float:
        """How long events are published."""
        return 60 * self.minutes


OnMoment = Callable[[float, str], None]
"""Told how many seconds of the run are over, and what is going on."""


@dataclass
class Run:
    """One run. Once something came out, ``go`` may be interrupted; ``findings`` then says how far it came.

    Attributes:
        settings: How Kafka is reached; the namespace is this run's alone.
        models: What is deployed in turns.
        broker: The process of the broker, if it is ours.
        folder: Where the worker logs.
        stack: What is started here is stopped by it.
    """

    settings: Settings
    order: Order
    models: Models
    broker: psutil.Process | None
    folder: Path
    stack: ExitStack
    on_moment: OnMoment
    samples: list[Sample] = field(default_factory=list)
    interrupted: bool = False
    ended: str = ""

    def __post_init__(self) -> None:
        topics, order = self.settings.topics, self.order
        self._inputs = {topics.documents: LaneName.BULK, topics.requests: LaneName.INTERACTIVE}
        self._traffic = Traffic(order.rate, [document.text for document in mixed(_N_TEXTS, seed=1)])
        self._timeline = Timeline()
        self._tally = Tally(self._traffic, TASK, self._inputs)
        self._reader = Reader(self.settings, self._tally, self._timeline)
        self._publisher = Publisher(
            self.settings,
            self._traffic.value,
            n_events=round(order.rate * order.seconds),
            seconds=order.seconds,
            timeline=self._timeline,
        )
        self._swapping = ThreadPoolExecutor(1, thread_name_prefix="swap")
        self._swaps: list[Future[Swap]] = []

    def go(self) -> None:
        """Do it, until it is over, interrupted, or the worker has ended."""
        self._begin()
        try:
            while self._timeline.now_s < self.order.seconds and not self._worker_ended():
                self._tick()
                time.sleep(_TICK_S)
        except KeyboardInterrupt:
            self.interrupted = True

    def findings(self) -> Findings:
        """Let what was published come out, stop the worker, and count."""
        seconds = self._timeline.now_s
        self._publisher.stop()
        published = self._published()
        n_published = sum(published.values())
        drained = self._drain(n_published)
        self._swapping.shutdown()
        self._stop_worker()
        self._reader.finish(_READ_S)
        self._check()
        self._tally.close(published if drained else self._tally.reached())
        return Findings(
            minutes=self.order.minutes,
            seconds=seconds,
            rate=self.order.rate,
            interrupted=self.interrupted,
            published=n_published,
            tally=self._tally,
            samples=self.samples,
            swaps=[swap.result() for swap in self._swaps],
            n_held_back=self._reader.n_held_back,
            ended=self.ended,
            machine=str(this_machine()),
            plan=self.models.plan,
        )

    def _begin(self) -> None:
        self.on_moment(0.0, "starting the worker")
        asyncio.run(create_topics(self.settings, PARTITIONS))
        asyncio.run(register(self.settings, self.models.digests))
        self._worker = self._start_worker()
        self._process = psutil.Process(self._worker.pid)
        self.stack.callback(self._reader.close)
        self._reader.start()
        self._swap()
        self.on_moment(0.0, "deploying the first model")
        if problem := self._swaps[0].result().problem:
            raise LexstreamError(f"the first model is not served: {problem}; {self._last_line()}")
        self._tally.began = time.time()
        self.stack.callback(self._publisher.stop)
        self._publisher.start()
        self._until_first_output()

    def _until_first_output(self) -> None:
        end = time.monotonic() + _FIRST_S
        while not self._reader.first.wait(_TICK_S):
            self._check()
            if self._worker_ended() or time.monotonic() > end:
                raise LexstreamError(f"nothing came out within {_FIRST_S:.0f} s; {self._last_line()}")

    def _tick(self) -> None:
        now = self._timeline.now_s
        if now >= len(self.samples) * SAMPLE_S:
            worker, broker = read(self._process), read(self.broker)
            self.samples.append(Sample(round(now, 2), self._lag, worker, broker))
        due_s = swap_due_s(len(self._swaps), every_s=self.order.swap_s, warm_s=warm_up_s(self.order.seconds))
        if due_s <= now < self.order.seconds - _LEAVE_S:
            self._swap()
        self._check()
        self.on_moment(now, f"{self._tally.n_seen:,} events came out, {self._lag:,} wait")

    @property
    def _lag(self) -> int:
        return max(0, self._timeline.n_published - self._tally.n_seen)

    def _swap(self) -> None:
        labels: Sequence[str] = list(self.models.digests)
        label = labels[len(self._swaps) % len(labels)]
        self._swaps.append(self._swapping.submit(deploy, self.settings, label, at_s=self._timeline.now_s))

    def _drain(self, n_published: int) -> bool:
        """Wait until everything has come out or nothing more will; return whether nobody interrupted that."""
        try:
            while self._tally.n_seen < n_published and not self._worker_ended():
                if self._timeline.silence_s > _SILENCE_S:
                    break
                n_left = n_published - self._tally.n_seen
                self.on_moment(self._timeline.now_s, f"{n_left:,} events still have to come out; Ctrl-C leaves them")
                time.sleep(_TICK_S)
        except KeyboardInterrupt:
            self.interrupted = True
            return False
        return True

    def _start_worker(self) -> "subprocess.Popen[bytes]":
        worker = start_worker(self.settings, self.folder / "worker.log")
        self.stack.callback(self._kill_worker)
        return worker

    def _worker_ended(self) -> bool:
        code = self._worker.poll()
        if code is not None and not self.ended:
            self.ended = f"exit code {code}; {self._last_line()}"
        return code is not None

    def _stop_worker(self) -> None:
        if self._worker_ended():
            return
        self._worker.send_signal(signal.SIGTERM)
        try:
            code = self._worker.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self.ended = f"it did not leave within {_LEAVE_S:.0f} s of being told to"
            return
        if code:
            self.ended = f"exit code {code} when it was told to leave; {self._last_line()}"

    def _kill_worker(self) -> None:
        self._worker.kill()
        self._worker.wait()

    def _last_line(self) -> str:
        lines = (self.folder / "worker.log").read_text("utf-8", errors="replace").splitlines()
        return f"the worker said last: {lines[-1] if lines else 'nothing'}"

    def _published(self) -> dict[tuple[str, int], int]:
        """Ask Kafka how many events it has."""
        from confluent_kafka import Consumer, TopicPartition

        asking = Consumer(consumer_options(self.settings))
        try:
            return {
                (topic, partition): asking.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ASK_S)[1]
                for topic in self._inputs
                for partition in range(PARTITIONS)
            }
        finally:
            asking.close()

    def _check(self) -> None:
        for part, error in (("publisher", self._publisher.error), ("reader", self._reader.error)):
            if error is not None:
                raise LexstreamError(f"the {part} failed: {error!r}") from error
