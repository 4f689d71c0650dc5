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
from typing import Final

from agents.child_settings import child_settings
from agents.prove.asking import store_url
from agents.prove.checker import Checker, echoed
from agents.prove.clients import require_client
from agents.prove.events import ECHO_KIND, PARTITIONS, echo_text, value
from agents.prove.expected import Corpus
from agents.prove.group import LAST_ASK_S, Group, Lag
from agents.prove.inputs import inputs_of
from agents.prove.murders import Deed, Murderer, n_murders
from agents.prove.nodes import Broker
from agents.prove.operator import Operator, echo_models
from agents.prove.publisher import Publisher
from agents.prove.reader import Reader
from agents.prove.recovery import Recoveries
from agents.prove.schedule import BROKER_KINDS, KILL_EVERY_S, Kind, Murder, schedule
from agents.prove.straggler import Straggler
from agents.prove.timeline import Timeline
from agents.prove.workers import Membership, Sabotage, Workers
from agents.settings import Settings
from agents.topics import create_topics
from schemas.errors import LexstreamError

_TICK_S: Final = 0.05
_FIRST_S: Final = 60.0
_STALL_S: Final = 90.0
_FINISH_S: Final = 60.0
_ASK_EVERY_S: Final = 3.0
_AFTER_COMMITS_S: Final = 3.0
_TRAINERS: Final = 2
_DECIDES_S: Final = 120.0
"""How long, after all else, commands may wait for a controller, trainings for a trainer and models for a worker."""
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
        membership: Which of them are static members of their group.
        kinds: What may be done to them and the others.
        kill_every_s: Seconds from one killed worker to the next, from and to.
        corpus: What a real model has to answer; without it an echo answers.
    """

    seed: int
    n_events: int
    seconds: float
    n_workers: int = 2
    sabotage: Sabotage | None = None
    membership: Membership = Membership.BOTH
    kinds: frozenset[Kind] = frozenset(Kind)
    kill_every_s: tuple[float, float] = KILL_EVERY_S
    corpus: Corpus | None = None


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
    n_deploys: int
    n_behind: int
    lag: Lag | None
    n_held_back: int
    seconds: float
    n_nodes: int | None = None
    n_publishers_replaced: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """How a run stands, for those who watch."""

    n_seen: int
    n_events: int
    doing: str
    n_murders: int = 0
    deed: Deed | None = None


OnMoment = Callable[[Moment], None]


def planned(order: Order, *, spared: frozenset[Kind]) -> list[Murder]:
    """Return the murders of a run, without those that are spared."""
    kinds = frozenset({FINDS[order.sabotage]}) if order.sabotage else order.kinds - spared
    return schedule(order.seed, order.seconds, kinds=kinds, kill_every_s=order.kill_every_s)


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
    settings = settings.model_copy(update={"store": store_url(folder)})
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
        self._recoveries = Recoveries(lambda: self._timeline.now_s)
        corpus = order.corpus
        judge = echoed if corpus is None else (lambda seed, place, document, _: corpus.wrong(seed, place, document))
        kind = ECHO_KIND if corpus is None else corpus.kind
        moved = self._recoveries.came_out
        self._checker = Checker(order.seed, order.n_events, inputs_of(topics), judge=judge, kind=kind, moved=moved)
        also = {topics.registry: self._checker.registry_record}
        self._reader = Reader(settings, self._checker, self._timeline, also=also)
        stack.callback(self._reader.close)
        self._straggler = Straggler(settings, seed=order.seed)
        stack.callback(self._straggler.close)
        self._enriched = topics.enriched
        self._publisher = Publisher(
            settings,
            partial(value, order.seed, text_of=echo_text if corpus is None else corpus.text_of),
            n_events=order.n_events,
            seconds=order.seconds,
            timeline=self._timeline,
        )
        stack.callback(self._publisher.stop)
        self._operator = Operator(
            settings,
            self._checker.commands,
            seed=order.seed,
            models=echo_models() if corpus is None else corpus.models,
            kind=kind,
        )
        stack.callback(self._operator.close)
        self._group = Group(settings, order.n_events)
        stack.callback(self._group.close)
        given = {"settings": child_settings(settings), "plan": corpus and corpus.plan}
        program = ["agents.prove.sabotage", order.sabotage] if order.sabotage else ["agents.prove.worker"]
        self._workers = Workers(given, folder, program, membership=order.membership)
        self._trainers = Workers(given, folder, ["agents.prove.trainer"], "trainer")
        for group in (self._workers, self._trainers):
            stack.callback(group.close)
        self._murderer = Murderer(
            self._workers,
            broker,
            now_s=lambda: self._timeline.now_s,
            trainers=self._trainers,
            recoveries=self._recoveries,
        )
        stack.callback(self._murderer.close)
        self._pending = planned(order, spared=frozenset() if broker else BROKER_KINDS)
        self._next_ask_s = 0.0
        self._n_nodes = len(broker.nodes) if broker else None

    def run(self) -> Findings:
        """Do it."""
        began = time.monotonic()
        self._operator.start(trains=not self._order.sabotage)
        for _ in range(self._order.n_workers):
            self._workers.add()
        for _ in range(0 if self._order.sabotage else _TRAINERS):
            self._trainers.add()
        self._reader.start()
        self._straggler.start()
        self._until(self._operator.deployed, "waiting for the first deployment", "nobody deployed the first model")
        self._until(
            self._workers.all_at_work,
            "waiting for the workers",
            "not every worker got something to read",
            within_s=_FIRST_S * self._order.n_workers,  # they start side by side
        )
        self._publisher.start()
        self._until(self._reader.first.is_set, "waiting for the first output", "nothing came out")
        while not self._over():
            self._tick()
            time.sleep(_TICK_S)
        self._finish()
        return self._findings(time.monotonic() - began)

    def _until(self, condition: Callable[[], bool], doing: str, problem: str, *, within_s: float = _FIRST_S) -> None:
        self._moment(doing)
        end = time.monotonic() + within_s
        while not condition():
            self._look_after_all(swaps=False)
            self._check()
            if time.monotonic() > end:
                raise LexstreamError(f"{problem} within {within_s:.0f} s")
            time.sleep(_TICK_S)

    def _tick(self) -> None:
        now = self._timeline.now_s
        while self._pending and self._pending[0].at_s <= now:
            self._tell(partial(self._murderer.begin, self._pending.pop(0)))
        self._tell(self._murderer.look_after)
        self._look_after_all(swaps=not self._publisher.done)
        self._check()
        self._moment(self._murderer.doing)

    def _look_after_all(self, *, swaps: bool) -> None:
        self._workers.look_after()
        self._trainers.look_after()
        self._operator.look_after(self._timeline.now_s, swaps=swaps)

    def _tell(self, do: Callable[[], None]) -> None:
        """Do what may begin murders, and tell of them."""
        n_before = len(self._murderer.deeds)
        do()
        for deed in self._murderer.deeds[n_before:]:
            self._moment(self._murderer.doing, deed)

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
        return (self._checker.complete or self._nothing_comes()) and self._decided(last)

    def _decided(self, last_deed_s: float) -> bool:
        """Whether nothing more will be decided or trained."""
        now = self._timeline.now_s
        since = max(last_deed_s, self._timeline.last_out_s, self._operator.last_s)
        return self._operator.settled(now) or now > since + _DECIDES_S

    def _check_that_kafka_takes_events(self) -> None:
        if self._timeline.silence_s > _STALL_S:
            n_published, n_events = self._timeline.n_published, self._order.n_events
            heard = self._publisher.heard or "nothing"
            raise LexstreamError(
                f"nothing happens any more: Kafka took {n_published} of {n_events} events; the publisher's client said "
                f"last: {heard}"
            )

    def _nothing_comes(self) -> bool:
        silence = self._timeline.silence_s
        if silence > _STALL_S:
            return True
        if silence < _AFTER_COMMITS_S or self._timeline.now_s < self._next_ask_s:
            return False
        self._next_ask_s = self._timeline.now_s + _ASK_EVERY_S
        lag = self._group.lag()
        return lag is not None and not lag.n_behind

    def _finish(self) -> None:
        over_s = self._timeline.now_s
        self._moment("counting")
        self._murderer.close()
        self._trainers.stop()
        self._workers.stop()
        self._reader.finish(_FINISH_S)
        self._timeline.end(over_s, complete=self._checker.complete)
        seen = {place: self._checker.sequences[self._enriched, place].n_messages for place in range(PARTITIONS)}
        self._straggler.finish(seen, _FINISH_S)
        self._check()
        self._checker.compare(self._enriched, self._straggler.seen)
        self._checker.close()
        self._recoveries.close(self._checker.cut_off)

    def _check(self) -> None:
        for part, error in (
            ("publisher", self._publisher.error),
            ("reader", self._reader.error),
            ("slow reader", self._straggler.error),
            ("broker", self._murderer.error),
        ):
            if error is not None:
                raise LexstreamError(f"the {part} failed: {error!r}") from error

    def _moment(self, doing: str, deed: Deed | None = None) -> None:
        n_done = n_murders(self._murderer.deeds)
        self._on_moment(Moment(self._checker.n_seen, self._order.n_events, doing, n_murders=n_done, deed=deed))

    def _findings(self, seconds: float) -> Findings:
        return Findings(
            self._order,
            self._checker,
            self._timeline,
            self._murderer.deeds,
            self._murderer.skipped,
            self._workers.ends + self._trainers.ends,
            n_started=self._workers.n_started + self._trainers.n_started,
            n_deploys=self._operator.n_deploys,
            n_behind=self._straggler.n_behind,
            lag=self._group.lag(patience_s=LAST_ASK_S),
            n_held_back=self._reader.n_held_back,
            seconds=seconds,
            n_nodes=self._n_nodes,
            n_publishers_replaced=self._publisher.n_replaced,
        )
