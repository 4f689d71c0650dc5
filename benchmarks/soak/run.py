"""A whole run: a broker, a worker, events at a steady rate, swaps, samples, and the count at the end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agents.bench.documents import mixed
from agents.interrupts import Interrupts
from agents.prove.clients import consumer_options
from agents.prove.events import PARTITIONS
from agents.prove.inputs import inputs_of
from agents.prove.publisher import Publisher
from agents.prove.reader import Reader
from agents.prove.timeline import Timeline
from agents.settings import Settings
from agents.topics import create_topics
from benchmarks.soak.deploying import Swapping, register
from benchmarks.soak.events import Traffic
from benchmarks.soak.models import Models
from benchmarks.soak.report import Findings
from benchmarks.soak.sampling import SAMPLE_S, Sample, read
from benchmarks.soak.tally import Tally
from benchmarks.soak.trends import swap_due_s, warm_up_s
from benchmarks.soak.worker import Worker
from models.tuning.machine import this_machine
from schemas.errors import LexstreamError

_TICK_S = 0.2
_FIRST_S = 60.0
_SILENCE_S = 90.0
_LAST_SWAP_S = 30.0
"""Before the end: a swap should be over by then, and used."""
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

    @property
    def n_events(self) -> int:
        """How many events are published."""
        return round(self.rate * self.seconds)


OnMoment = Callable[[float, str], None]
"""Told how many seconds of the run are over, and what is going on."""


@dataclass
class Run:
    """One run: ``begin`` until something comes out, ``go`` on until the end or an interrupt, and have ``findings``.

    Attributes:
        settings: How Kafka is reached; the namespace is this run's alone.
        models: What is deployed in turns.
        broker: The process of the broker, if it is ours.
        folder: Where the worker logs.
        stack: What is started here is stopped by it.
        interrupts: Each ends what is going on: first ``go``, then the waiting in ``findings``.
        problems: What went wrong at the end beside the count.
    """

    settings: Settings
    order: Order
    models: Models
    broker: psutil.Process | None
    folder: Path
    stack: ExitStack
    on_moment: OnMoment
    interrupts: Interrupts = field(default_factory=Interrupts)
    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        order = self.order
        self._inputs = inputs_of(self.settings.topics)
        self._traffic = Traffic(order.rate, [document.text for document in mixed(_N_TEXTS, seed=1)])
        self._timeline = Timeline()
        self._tally = Tally(self._traffic, self._inputs, order.n_events, now_s=self._now_s)
        self._reader = Reader(self.settings, self._tally, self._timeline)
        self._publisher = Publisher(
            self.settings,
            self._traffic.value,
            n_events=order.n_events,
            seconds=order.seconds,
            timeline=self._timeline,
        )
        self._swapping = Swapping(self.settings, list(self.models.digests), now_s=self._now_s)

    def begin(self) -> None:
        """Start the worker, deploy the first model, publish, and wait for the first output.

        Raises:
            LexstreamError: Nothing comes out.
        """
        self.on_moment(0.0, "starting the worker")
        asyncio.run(create_topics(self.settings, PARTITIONS))
        asyncio.run(register(self.settings, self.models.digests))
        self._worker = Worker(self.settings, self.folder / "worker.log")
        self.stack.callback(self._worker.kill)
        self._process = psutil.Process(self._worker.pid)
        self.stack.callback(self._reader.close)
        self._reader.start()
        self._deploy_first()
        self.stack.callback(self._publisher.stop)
        self._publisher.start()
        end = time.monotonic() + _FIRST_S
        while not self._reader.first.wait(_TICK_S):
            if self._failed or time.monotonic() > end:
                raise self._said(f"nothing came out within {_FIRST_S:.0f} s")

    def go(self, interrupts: Interrupts) -> None:
        """Go on until it is over, interrupted, or something has failed."""
        self.interrupts = interrupts
        while self._now_s() < self.order.seconds and not interrupts.n and not self._failed:
            self._tick()
            time.sleep(_TICK_S)

    def findings(self) -> Findings:
        """Let what was published come out, stop the worker, and count."""
        seconds = self._now_s()
        self._publisher.stop()
        published: dict[tuple[str, int], int] = {}
        with self._tried():
            published = self._published()
        drained = self._drained(sum(published.values()))
        self._waited(lambda: not self._swapping.busy, lambda: "a model is still being deployed")
        self.on_moment(self._now_s(), "counting; nothing interrupts that")
        self._worker.leave()
        with self._tried():
            self._reader.finish(_READ_S)
        self._reader.close()  # what did not reach the end would count on meanwhile
        reached = self._tally.reached()
        self._tally.close(published if published and drained else reached)
        return Findings(
            minutes=self.order.minutes,
            seconds=seconds,
            until_s=min(seconds, self._timeline.last_out_s),
            rate=self.order.rate,
            interrupted=bool(self.interrupts.n),
            published=sum((published or reached).values()),
            tally=self._tally,
            samples=self.samples,
            swaps=self._swapping.swaps,
            n_held_back=self._reader.n_held_back,
            problems=[*self._failed, *self.problems],
            machine=str(this_machine()),
            digests=self.models.digests,
            plan=self.models.plan,
        )

    def _deploy_first(self) -> None:
        self.on_moment(0.0, "deploying the first model")
        self._swapping.begin()
        while self._swapping.busy and not self._failed:
            time.sleep(_TICK_S)
        for swap in self._swapping.swaps:
            if swap.problem:
                raise self._said(f"the first model is not served: {swap.problem}")

    def _said(self, problem: str) -> LexstreamError:
        """Return an error that tells all that is known of why it does not even begin."""
        return LexstreamError("; ".join(self._failed or [problem, f"the worker said last: {self._worker.last_words}"]))

    @property
    def _failed(self) -> list[str]:
        """What ended that should go on."""
        parts = (
            ("publisher", self._publisher.error),
            ("reader", self._reader.error),
            ("swapping of models", self._swapping.error),
        )
        failed = [f"the {part} failed: {error!r}" for part, error in parts if error is not None]
        return [*failed, self._worker.problem] if self._worker.ended else failed

    def _now_s(self) -> float:
        return self._timeline.now_s

    def _tick(self) -> None:
        now = self._now_s()
        if now >= len(self.samples) * SAMPLE_S:
            worker, broker = read(self._process), read(self.broker)
            self.samples.append(Sample(round(now, 2), self._lag, worker, broker))
        due_s = swap_due_s(self._swapping.n_begun, every_s=self.order.swap_s, warm_s=warm_up_s(self.order.seconds))
        if due_s <= now < self.order.seconds - _LAST_SWAP_S and not self._swapping.busy:
            self._swapping.begin()
        self.on_moment(now, f"{self._tally.n_seen:,} events came out, {self._lag:,} wait")

    @property
    def _lag(self) -> int:
        return max(0, self._timeline.n_published - self._tally.n_seen)

    def _drained(self, n_published: int) -> bool:
        """Wait until everything has come out or nothing more will; return whether nobody interrupted that."""

        def over() -> bool:
            all_out = self._tally.n_seen >= n_published
            return all_out or bool(self._failed) or self._timeline.silence_s > _SILENCE_S

        return self._waited(over, lambda: f"{n_published - self._tally.n_seen:,} events still have to come out")

    def _waited(self, over: Callable[[], bool], doing: Callable[[], str]) -> bool:
        """Wait; return whether nobody interrupted that."""
        before = self.interrupts.n
        while not over():
            if self.interrupts.n > before:
                return False
            self.on_moment(self._now_s(), f"{doing()}; Ctrl-C ends the waiting")
            time.sleep(_TICK_S)
        return True

    @contextmanager
    def _tried(self) -> Iterator[None]:
        """Do a step of the end; that it fails is a problem to tell of, and what was found until then is kept."""
        try:
            yield
        except LexstreamError as error:
            self.problems.append(str(error))

    def _published(self) -> dict[tuple[str, int], int]:
        """Ask Kafka how many events it has."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        asking = Consumer(consumer_options(self.settings))
        try:
            return {
                (topic, partition): asking.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ASK_S)[1]
                for topic in self._inputs
                for partition in range(PARTITIONS)
            }
        except KafkaException as error:
            raise LexstreamError(f"Kafka does not say how many events it has: {error}") from error
        finally:
            asking.close()
