"""What a running training says: JSON lines with the share of time that has passed and an honest time left.

The time left is the measured rate of the present stage over what is left of it, plus an estimate of the later stages.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

Stage = Literal["preparing", "training", "exporting", "tuning", "evaluating"]
_STAGES: tuple[Stage, ...] = ("preparing", "training", "exporting", "tuning", "evaluating")
_INTERVAL_S = 0.5


def print_line(event: dict[str, Any]) -> None:
    """Write one event to standard output."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Progress:
    """Follows a job from start to end. ``expected_s`` of a stage may be set as soon as more is known of it."""

    def __init__(
        self, emit: Callable[[dict[str, Any]], None] = print_line, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.expected_s: dict[Stage, float] = {
            "preparing": 2.0,
            "training": 20.0,
            "exporting": 3.0,
            "tuning": 10.0,
            "evaluating": 5.0,
        }
        self._emit = emit
        self._clock = clock
        self._started = clock()
        self._stage: Stage = "preparing"
        self._stage_started = self._started
        self._stage_done: float | None = None
        self._spoken = float("-inf")
        self._fraction = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds that the job has taken, those before a restart included."""
        return self._clock() - self._started

    def resume(self, elapsed_s: float) -> None:
        """Count the time that an earlier process spent on the job."""
        self._started -= elapsed_s

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        self._stage, self._stage_started, self._stage_done = stage, self._clock(), None
        self._spoken = float("-inf")

    def report(self, done: float, **details: float) -> None:
        """Say how much of the present stage is done, between 0 and 1, at most twice a second.

        The first report of a stage may begin in its midst: after a restart that part was done before.
        """
        now = self._clock()
        if self._stage_done is None:
            self._stage_done, self._stage_started = done, now
        if now - self._spoken < _INTERVAL_S:
            return
        self._spoken = now
        remaining = self._remaining(done, now)
        elapsed = now - self._started
        self._fraction = max(self._fraction, min(elapsed / max(elapsed + remaining, 1e-9), 0.999))
        figures = {name: round(value, 5) for name, value in details.items()}
        self._emit(
            {
                "event": "progress",
                "stage": self._stage,
                "fraction": round(self._fraction, 4),
                "remainingS": round(remaining, 1),
                **figures,
            }
        )

    def _remaining(self, done: float, now: float) -> float:
        fresh = done - (self._stage_done or 0.0)
        spent = now - self._stage_started
        # Blend towards what is measured: the first percent of a stage says little about its rate.
        trust = min(fresh * 10, 1.0)
        guess = self.expected_s[self._stage] * (1 - done)
        measured = spent / fresh * (1 - done) if fresh > 0 else guess
        later = _STAGES[_STAGES.index(self._stage) + 1 :]
        return trust * measured + (1 - trust) * guess + sum(self.expected_s[stage] for stage in later)
