"""A whole run: topics, workers, events, murders, and the count at the end."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from agents.prove.checker import Checker
from agents.prove.clients import require_client
from agents.prove.events import PARTITIONS, LaneName, value
from agents.prove.group import Group
from agents.prove.murders import Broker, Deed, Murderer
from agents.prove.publisher import Publisher
from agents.prove.reader import Reader
from agents.prove.schedule import BROKER_KINDS, Kind, Murder, schedule
from agents.prove.swapper import EVERY_S, Swapper
from agents.prove.timeline import Timeline
from agents.prove.workers import Sabotage, Workers
from agents.settings import Settings
from agents.topics import create_topics
from schemas.errors import LexstreamError

_TICK_S: Final = 0.05
_FIRST_S: Final = 60.0
_STALL_S: Final = 90.0
_FINISH_S: Final = 60.0
_ASK_EVERY_S: Final = 3.0
_AFTER_COMMITS_S: Final = 3.0
_ZOMBIES_S: Final = 3.0
"""How long those that woke last may try to write."""
FINDS: Final = {Sabotage.COMMIT_BEFORE_PRODUCE: Kind.KILL, Sabotage.ONE_PRODUCER: Kind.FREEZE}
"""What finds out soonest what is wrong with a worker."""


@dataclass(frozen=True)
class Order:
    """What is asked of a run.

    Attributes:
        seed: Of the events and of the schedule.
        n_events: How many events.
        seconds: How long they are published, and murders begin.
        n_workers: How many workers there are at first.
        sabotage: What is wrong with them.
    """

    seed: int
    n_events: int
    seconds: float
    n_workers: int = 2
    sabotage: Sabotage | None = None


@dataclass(frozen=True)
class Findings:
    """What a run gave."""

    order: Order
    checker: Checker
    timeline: Timeline
    deeds: Sequence[Deed]
    skipped: Sequence[Murder]
    ends: Counter[str]
    n_started: int
    n_models: int
    n_uncommitted: int | None
    n_held_back: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Moment:
    """How a run stands, for those who watch."""

    n_seen: int
    n_events: int
    doing: str
    deed: Deed | None = None


OnMoment = Callable[[Moment], None]


def prove(settings: Settings, order: Order, *, broker: Broker | None, folder: Path, on_moment: OnMoment) -> Findings:
    """Publish, murder and count.

    Args:
        settings: How Kafka is reached; the namespace is this run's alone.
        order: What is asked.
        broker: The broker, if it may be murdered too.
        folder: Where workers log.
        on_moment: Told of each murder, and how far the run is.

    Raises:
        LexstreamError: The run could not be done; nothing is said of the workers.
    """
    require_client()
    asyncio.run(create_topics(settings, PARTITIONS))
    with ExitStack() as stack:
        stack.enter_context(_deaf_children())
        return _Run(settings, order, broker=broker, folder=folder, on_moment=on_moment, stack=stack).run()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Let workers ignore our signals until they know what these mean: children inherit what is ignored."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Run:
    def __init__(
        self,
        settings: Settings,
        order: Order,
        *,
        broker: Broker | None,
        folder: Path,
        on_moment: OnMoment,
        stack: ExitStack,
    ) -> None:
        topics = settings.topics
        self._order = order
        self._on_moment = on_moment
        self._timeline = Timeline()
        inputs = {topics.documents: LaneName.BULK, topics.requests: LaneName.INTERACTIVE}
        self._checker = Checker(order.seed, order.n_events, inputs)
        self._reader = Reader(settings, self._checker, self._timeline)
        stack.callback(self._reader.close)
        self._publisher = Publisher(
            settings,
            partial(value, order.seed),
            n_events=order.n_events,
            seconds=order.seconds,
            timeline=self._timeline,
        )
        stack.callback(self._publisher.stop)
        self._swapper = Swapper(settings)
        stack.callback(self._swapper.close)
        self._group = Group(settings, order.n_events)
        stack.callback(self._group.close)
        self._workers = Workers(_worker_settings(settings), folder, order.sabotage)
        stack.callback(self._workers.close)
        self._murderer = Murderer(self._workers, broker, now_s=lambda: self._timeline.now_s)
        stack.callback(self._murderer.close)
        kinds = frozenset({FINDS[order.sabotage]} if order.sabotage else Kind)
        self._pending = schedule(order.seed, order.seconds, kinds=kinds - (frozenset() if broker else BROKER_KINDS))
        self._next_swap_s = 0.0
        self._next_ask_s = 0.0

    def run(self) -> Findings:
        """Do it."""
        began = time.monotonic()
        self._swapper.start()
        for _ in range(self._order.n_workers):
            self._workers.add()
        self._reader.start()
        self._publisher.start()
        self._until_first_output()
        while not self._over():
            self._tick()
            time.sleep(_TICK_S)
        self._finish()
        return self._findings(time.monotonic() - began)

    def _until_first_output(self) -> None:
        self._moment("waiting for the first output")
        end = time.monotonic() + _FIRST_S
        while not self._reader.first.wait(_TICK_S):
            self._workers.look_after()
            self._check()
            if time.monotonic() > end:
                raise LexstreamError(f"nothing came out within {_FIRST_S:.0f} s")

    def _tick(self) -> None:
        now = self._timeline.now_s
        while self._pending and self._pending[0].at_s <= now:
            self._murder(self._pending.pop(0))
        self._murderer.look_after()
        self._workers.look_after()
        if now >= self._next_swap_s and not self._publisher.done:
            self._swapper.swap()
            self._next_swap_s = now + EVERY_S
        self._check()
        self._moment(self._murderer.doing)

    def _murder(self, murder: Murder) -> None:
        n_before = len(self._murderer.deeds)
        self._murderer.begin(murder)
        for deed in self._murderer.deeds[n_before:]:
            self._on_moment(Moment(self._checker.n_seen, self._order.n_events, self._murderer.doing, deed))

    def _over(self) -> bool:
        """Whether all is done, or nothing more will come."""
        if self._pending or self._murderer.busy:
            return False
        if not self._publisher.done:
            self._check_that_kafka_takes_events()
            return False
        last = max((deed.ended_s or 0.0 for deed in self._murderer.deeds), default=0.0)
        if self._timeline.now_s < last + _ZOMBIES_S:
            return False
        return self._checker.complete or self._nothing_comes()

    def _check_that_kafka_takes_events(self) -> None:
        if self._timeline.silence_s > _STALL_S:
            n_published, n_events = self._timeline.n_published, self._order.n_events
            raise LexstreamError(f"nothing happens any more: Kafka took {n_published} of {n_events} events")

    def _nothing_comes(self) -> bool:
        silence = self._timeline.silence_s
        if silence > _STALL_S:
            return True
        if silence < _AFTER_COMMITS_S or self._timeline.now_s < self._next_ask_s:
            return False
        self._next_ask_s = self._timeline.now_s + _ASK_EVERY_S
        return self._group.n_uncommitted() == 0

    def _finish(self) -> None:
        self._moment("counting")
        self._murderer.close()
        self._workers.stop()
        self._reader.finish(_FINISH_S)
        self._check()
        self._checker.close()

    def _check(self) -> None:
        for part, error in (
            ("publisher", self._publisher.error),
            ("reader", self._reader.error),
            ("broker", self._murderer.error),
        ):
            if error is not None:
                raise LexstreamError(f"the {part} failed: {error!r}") from error

    def _moment(self, doing: str) -> None:
        self._on_moment(Moment(self._checker.n_seen, self._order.n_events, doing))

    def _findings(self, seconds: float) -> Findings:
        return Findings(
            self._order,
            self._checker,
            self._timeline,
            self._murderer.deeds,
            self._murderer.skipped,
            self._workers.ends,
            n_started=self._workers.n_started,
            n_models=self._swapper.n_models,
            n_uncommitted=self._group.n_uncommitted(),
            n_held_back=self._reader.n_held_back,
            seconds=seconds,
        )


def _worker_settings(settings: Settings) -> dict[str, Any]:
    """Return what workers are told: everything, so that nothing comes from the environment."""
    secrets = {
        name: value.get_secret_value()
        for name in ("sasl_password", "ssl_password")
        if (value := getattr(settings, name)) is not None
    }
    return settings.model_dump(mode="json") | secrets
