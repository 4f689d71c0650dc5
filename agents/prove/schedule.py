"""Who is murdered when. Pure: the same seed and length give the same list, whatever the machine."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Kind(StrEnum):
    """What is done to a process."""

    KILL = "kill -9 a worker"
    FREEZE = "freeze a worker"
    JOIN = "a worker joins"
    LEAVE = "a worker leaves"
    CUT = "cut a worker's connections"
    SLOW = "slow a worker down"
    KILL_BROKER = "kill -9 the broker"
    FREEZE_BROKER = "freeze the broker"
    RESTART_BROKER = "restart the broker"
    KILL_TRAINER = "kill -9 a trainer"
    FREEZE_TRAINER = "freeze a trainer"

    @property
    def hurts(self) -> bool:
        """Whether somebody is murdered: joining, leaving in order and being slow are part of life."""
        return self not in {Kind.JOIN, Kind.LEAVE, Kind.SLOW}


BROKER_KINDS: Final = frozenset({Kind.KILL_BROKER, Kind.FREEZE_BROKER, Kind.RESTART_BROKER})
"""Only for a broker that is ours to murder."""
TRAINER_KINDS: Final = (Kind.KILL_TRAINER, Kind.KILL_TRAINER, Kind.FREEZE_TRAINER)
"""In the shares in which they are done."""
LASTS_S: Final = {
    Kind.FREEZE: (7.5, 14.0),  # longer than the session timeout: others take its partitions, and then it wakes
    Kind.SLOW: (6.0, 6.0),
    Kind.KILL_BROKER: (0.5, 3.0),
    Kind.FREEZE_BROKER: (2.0, 8.0),
    Kind.RESTART_BROKER: (0.5, 3.0),
    Kind.FREEZE_TRAINER: (7.5, 14.0),
}
"""How long it lasts, from and to; what is not here is over at once."""
FIRST_S: Final = 1.0
KILL_EVERY_S: Final = (2.0, 10.0)
OTHER_EVERY_S: Final = (3.0, 8.0)
TRAINER_EVERY_S: Final = (4.0, 9.0)
BROKER_REST_S: Final = 12.0
"""From the end of what was done to the broker to the next: it has to start, and the workers to find it."""


@dataclass(frozen=True, slots=True, order=True)
class Murder:
    """Something that is done to a process.

    Attributes:
        at_s: When, in seconds since the first output.
        kind: What.
        lasts_s: How long.
        pick: Which of those that it could be done to: 0 is the first, just below 1 the last.
    """

    at_s: float
    kind: Kind
    lasts_s: float
    pick: float

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s


def schedule(
    seed: int,
    seconds: float,
    *,
    kinds: Collection[Kind] = frozenset(Kind),
    kill_every_s: tuple[float, float] = KILL_EVERY_S,
) -> list[Murder]:
    """Return the murders of a run, in their order.

    Workers are killed every two to ten seconds, trainers are murdered every four to nine. Beside that, every other kind
    comes once a round, the rounds shuffled.

    Args:
        seed: Says which of all schedules.
        seconds: How long murders may begin.
        kinds: What may be done.
        kill_every_s: Seconds from one killed worker to the next, from and to.
    """
    apart = {Kind.KILL, *TRAINER_KINDS}
    murders = list(_others(_random(seed, "others"), seconds, [kind for kind in Kind if kind in {*kinds} - apart]))
    murders += _trainers(_random(seed, "trainers"), seconds, [kind for kind in TRAINER_KINDS if kind in kinds])
    if Kind.KILL in kinds:
        murders += _kills(_random(seed, "kills"), seconds, kill_every_s)
    return sorted(murders)


def _random(seed: int, name: str) -> Random:
    return Random(f"{name} {seed}")  # noqa: S311 - no secret


def _kills(random: Random, seconds: float, every_s: tuple[float, float]) -> Iterator[Murder]:
    at = FIRST_S
    while at < seconds:
        yield Murder(at, Kind.KILL, 0.0, random.random())
        at += random.uniform(*every_s)


def _trainers(random: Random, seconds: float, kinds: list[Kind]) -> Iterator[Murder]:
    at = FIRST_S + random.uniform(*TRAINER_EVERY_S)
    while kinds and at < seconds:
        kind = random.choice(kinds)
        yield Murder(at, kind, random.uniform(*LASTS_S.get(kind, (0.0, 0.0))), random.random())
        at += random.uniform(*TRAINER_EVERY_S)


def _others(random: Random, seconds: float, kinds: list[Kind]) -> Iterator[Murder]:
    at, broker_free = FIRST_S + random.uniform(*KILL_EVERY_S), 0.0
    while kinds:
        random.shuffle(kinds)
        for kind in kinds:
            lasts = random.uniform(*LASTS_S.get(kind, (0.0, 0.0)))
            if kind in BROKER_KINDS:
                at = max(at, broker_free)
                broker_free = at + lasts + BROKER_REST_S
            if at >= seconds:
                return
            yield Murder(at, kind, lasts, random.random())
            at += random.uniform(*OTHER_EVERY_S)
