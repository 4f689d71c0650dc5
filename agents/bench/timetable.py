"""What a run consists of and about how long each part takes; for the bar that shows how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

MIXED_SUBJECTS: Final = ("exactly-once", "bare", "at-least-once", "torch", "naive")
TICKET_SUBJECTS: Final = ("exactly-once", "bare", "naive")
LATENCY_SUBJECTS: Final = ("naive", "exactly-once")
SLOW: Final = frozenset({"torch", "naive"})
KAFKA_SUBJECTS: Final = ("exactly-once", "at-least-once", "naive", "echo")
TITLES: Final = {
    "exactly-once": "Lexstream, exactly once",
    "at-least-once": "Lexstream, at least once",
    "bare": "bare engine, no Kafka",
    "torch": "torch FP32, batches of 32, no Kafka",
    "naive": "naive worker",
    "echo": "Lexstream without a model",
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: Of the realistic mix.
        ticket_rounds: Of short tickets.
        fast_s: About how long the engine works in one round.
        slow_s: The same for those that are slower by far; they get fewer documents.
        tuning_s: How long plans are measured.
        latency_s: How long documents come at a steady rate.
        latency_warm_s: How long they came at that rate before. Kafka commits far more often then than it did until
            now, and a JVM that has just started compiles that first, on the same processors.
        n_echo: Events through the loop without a model.
    """

    rounds: int = 4
    ticket_rounds: int = 2
    fast_s: float = 6.0
    slow_s: float = 5.0
    tuning_s: float = 20.0
    latency_s: float = 15.0
    latency_warm_s: float = 15.0
    n_echo: int = 20_000

    def seconds(self, subject: str) -> float:
        """Return about how long a subject works in one round."""
        return self.slow_s if subject in SLOW else self.fast_s

    def with_rounds(self, rounds: int | None) -> "Sizes":
        """Return the same with another number of rounds."""
        return self if rounds is None else replace(self, rounds=rounds)


NORMAL: Final = Sizes()
QUICK: Final = Sizes(
    rounds=1, ticket_rounds=1, fast_s=2.5, slow_s=2.0, tuning_s=6.0, latency_s=4.0, latency_warm_s=2.0, n_echo=5_000
)


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run."""

    name: str
    seconds: float


BROKER: Final = Step("looking for Kafka", 5)
START: Final = Step("starting the subjects", 15)

OnStep = Callable[[Step], None]
"""Told of each step when it begins."""


def timetable(sizes: Sizes) -> list[Step]:
    """Return the steps of a run, in their order."""
    return [
        BROKER,
        Step("model", 12),
        Step("plan", sizes.tuning_s + 4),
        START,
        *(Step(f"warm up {TITLES[name]}", 2.5) for name in MIXED_SUBJECTS),
        *(mixed_step(sizes, name, number) for number in range(sizes.rounds) for name in MIXED_SUBJECTS),
        *(ticket_step(sizes, name, number) for number in range(sizes.ticket_rounds) for name in TICKET_SUBJECTS),
        *(latency_step(sizes, name) for name in LATENCY_SUBJECTS),
        Step(TITLES["echo"], sizes.n_echo / 5000 + 1),
        Step("cleaning up", 3),
    ]


def mixed_step(sizes: Sizes, subject: str, number: int) -> Step:
    """Return the step of one subject in one round of the realistic mix."""
    return Step(f"{TITLES[subject]} · mix, round {number + 1} of {sizes.rounds}", sizes.seconds(subject))


def ticket_step(sizes: Sizes, subject: str, number: int) -> Step:
    """Return the step of one subject in one round of tickets."""
    return Step(f"{TITLES[subject]} · tickets, round {number + 1} of {sizes.ticket_rounds}", sizes.seconds(subject))


def latency_step(sizes: Sizes, subject: str) -> Step:
    """Return the step that measures how long a ticket takes."""
    return Step(f"{TITLES[subject]} · latency at 70 % load", sizes.latency_warm_s + sizes.latency_s)
