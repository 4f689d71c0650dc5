"""Measures plans in turn until all that is worth it is known, or time is up."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

from models.engine.engine import Prediction
from models.plans import Plan, Trial, Tuning
from models.tuning.candidates import Space, next_plan
from models.tuning.choose import Attempt, Quality, best, trials_of
from models.tuning.measure import Round
from schemas.errors import LexstreamError, Unavailable

logger = logging.getLogger(__name__)

_REASON_CHARS: Final = 160
_TURNS: Final = 2
_SHARE: Final = 6
"""One trial may take this part of the time, beside what loading takes."""


class Running(Protocol):
    """A plan on a bench."""

    def run(self, *, n_documents: int = 0, at_least_s: float = 0.0, at_most_s: float = float("inf")) -> Round:
        """Read documents."""

    def close(self) -> None:
        """Leave the bench."""


@dataclass(frozen=True)
class Limits:
    """How long to measure.

    A trial that runs when time is up still counts, so the default stays below the minute that a deployment may take.
    """

    budget_s: float = 50.0
    round_s: float = 0.7

    @property
    def trial_s(self) -> float:
        """The longest that one trial should take."""
        return self.budget_s / _SHARE


Judge = Callable[[str, Sequence[Prediction]], Quality]
Open = Callable[[Plan], Running]


class Search:
    """One tuning. At most two plans are loaded at a time: the best one so far, and the one that may be better.

    Other plans than a backend's first are measured in turns with the best one, so that what else the machine does
    meanwhile hits both alike; of each, the best round counts.
    """

    def __init__(
        self, space: Space, *, open_plan: Open, judge: Judge, n_documents: int, limits: Limits,
        clock: Callable[[], float] = perf_counter,
    ) -> None:  # fmt: skip
        """Begin with nothing known.

        Args:
            space: What there is to try.
            open_plan: Loads the model as planned; raises a ``LexstreamError`` if it cannot run that way.
            judge: Says how good a backend's answers to the first documents are.
            n_documents: How many documents there are to be judged by.
            limits: How long to go on.
            clock: Seconds that never go back.
        """
        self._space = space
        self._open = open_plan
        self._judge = judge
        self._n_documents = n_documents
        self._limits = limits
        self._clock = clock
        self._started = clock()
        self._champion: tuple[Plan, Running] | None = None
        self.attempts: dict[Plan, Attempt] = {}
        self.qualities: dict[str, Quality] = {}

    def know(self, trials: Iterable[Trial]) -> None:
        """Take over speeds that were measured here of the same encoder, for another model or at another time.

        What failed then is tried again: one model or one moment may break what works for others.
        """
        for trial in trials:
            if trial.tokens_per_s > 0:
                self.attempts[trial.plan] = Attempt(
                    trial.plan, trial.tokens_per_s, trial.documents_per_s, rounds=_TURNS, from_before=True
                )

    def note(self, plan: Plan, found: Round, quality: Quality) -> None:
        """Take over what was measured of a plan just now."""
        self._count(plan, found)
        self.qualities[plan.backend] = quality

    def run(self, *, on_progress: Callable[[float], None] = lambda _done: None) -> Plan | None:
        """Measure, and return the best plan that may serve; nothing if none may."""
        try:
            while self._elapsed_s < self._limits.budget_s and (plan := self._next()):
                on_progress(min(self._elapsed_s / max(self._limits.budget_s, 1e-9), 1.0))
                self._try(plan)
        finally:
            self._crown(None)
        winner = best(self.attempts.values(), self.qualities)
        return winner.plan if winner else None

    def tuning(self, plan: Plan, *, n_labels: int) -> Tuning:
        """Return the table, with the plan that was chosen."""
        attempts = list(self.attempts.values())
        left_out = self._space.left_out(attempts, self.qualities)
        return Tuning(
            machine=self._space.machine,
            plan=plan,
            trials=trials_of(attempts, self.qualities, served=plan, skipped=left_out),
            n_documents=self._n_documents,
            n_labels=n_labels,
            seconds=round(self._elapsed_s, 2),
        )

    def _next(self) -> Plan | None:
        return next_plan(self._space, self.attempts, self.qualities)

    @property
    def _elapsed_s(self) -> float:
        return self._clock() - self._started

    def _try(self, plan: Plan) -> None:
        try:
            if self._champion and self._champion[0] == plan:
                self._champion_round(*self._champion)
                return
            running = self._open(plan)
            try:
                self._measure(plan, running)
            except BaseException:
                running.close()
                raise
        except Unavailable:
            raise
        except (LexstreamError, MemoryError) as error:
            self._failed(plan, error)
        else:
            self._keep_better(plan, running)

    def _measure(self, plan: Plan, running: Running) -> None:
        if plan.backend not in self.qualities:
            self._judged_round(plan, running)
            return
        for turn in range(_TURNS):
            if turn and self._elapsed_s >= self._limits.budget_s:
                return
            self._round(plan, running)
            if self._champion:
                self._champion_round(*self._champion)

    def _champion_round(self, plan: Plan, running: Running) -> None:
        """Measure the best plan so far once more; what breaks it is no fault of the plan that it is compared with."""
        try:
            self._round(plan, running)
        except Unavailable:
            raise
        except (LexstreamError, MemoryError) as error:
            self._failed(plan, error)
            self._crown(None)

    def _failed(self, plan: Plan, error: BaseException) -> None:
        self.attempts[plan] = Attempt(plan, error=_short(error))
        logger.info("%s cannot run here: %s", plan.backend, error, extra={"action": "tune"})

    def _judged_round(self, plan: Plan, running: Running) -> None:
        """The first round is for the answers: some libraries prepare each new shape, which a worker does but once."""
        found = running.run(n_documents=self._n_documents, at_most_s=self._limits.trial_s)
        self.qualities[plan.backend] = self._judge(plan.backend, found.answers)
        self._round(plan, running)

    def _round(self, plan: Plan, running: Running) -> None:
        limits = self._limits
        self._count(plan, running.run(at_least_s=limits.round_s, at_most_s=limits.trial_s))

    def _count(self, plan: Plan, found: Round) -> None:
        before = self.attempts.get(plan, Attempt(plan))
        self.attempts[plan] = before.after(tokens_per_s=found.tokens_per_s, documents_per_s=found.documents_per_s)

    def _keep_better(self, plan: Plan, running: Running) -> None:
        winner = best(self.attempts.values(), self.qualities)
        if winner and winner.plan == plan:
            self._crown((plan, running))
        else:
            running.close()

    def _crown(self, champion: tuple[Plan, Running] | None) -> None:
        if self._champion:
            with suppress(LexstreamError):
                self._champion[1].close()
        self._champion = champion


def _short(error: BaseException) -> str:
    words = str(error) or type(error).__name__
    line = words.splitlines()[0]
    return line if len(line) <= _REASON_CHARS else line[: _REASON_CHARS - 1] + "…"
