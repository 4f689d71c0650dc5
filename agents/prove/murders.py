"""Carries the murders out, and notes what was done to whom."""

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from agents.prove.nodes import BROKER, Broker, Nodes
from agents.prove.recovery import Recoveries, Stop
from agents.prove.schedule import BROKER_KINDS, Kind, Murder
from agents.prove.workers import LEAST, MOST, Slot, Workers, partitions_of

STOPPING_KINDS: Final = frozenset({Kind.KILL, Kind.FREEZE, Kind.LEAVE, Kind.CUT})
"""After which the partitions of a worker stand still."""
_SHOWN_S: Final = 2.0
"""How long a murder is told of that was over at once."""


@dataclass
class Deed:
    """A murder that was carried out.

    Attributes:
        whom: Whose.
        began_s: When, in seconds since the first output.
        ended_s: When the victim was let go on, or came back; ``None`` while it lasts.
        static: Whether the victim is a static member of its group.
        stop: How long the victim's partitions stood still, if it was a worker.
    """

    murder: Murder
    whom: str
    began_s: float
    ended_s: float | None = None
    static: bool = False
    stop: Stop | None = None

    def __str__(self) -> str:
        return str(self.murder.kind) if self.whom == BROKER else f"{self.murder.kind} ({self.whom})"


def n_murders(deeds: Iterable[Deed]) -> int:
    """Return how many of what was done hurt somebody."""
    return sum(deed.murder.kind.hurts for deed in deeds)


class Murderer:
    """Belongs to the thread that looks after the workers.

    Attributes:
        deeds: What was done.
        skipped: Murders that found no victim.
    """

    def __init__(
        self,
        workers: Workers,
        broker: Broker | None,
        *,
        now_s: Callable[[], float],
        trainers: Workers | None = None,
        recoveries: Recoveries | None = None,
    ) -> None:
        self._workers = workers
        self._trainers = trainers
        self._recoveries = recoveries or Recoveries(now_s)
        self._nodes = Nodes(broker)
        self._now_s = now_s
        self._lasting: list[tuple[Deed, Callable[[], None]]] = []
        self._put_off: list[Murder] = []
        self.deeds: list[Deed] = []
        self.skipped: list[Murder] = []

    @property
    def busy(self) -> bool:
        """Whether something lasts."""
        return bool(self._lasting or self._put_off) or self._nodes.hurt

    @property
    def error(self) -> BaseException | None:
        """Why the broker could not be started again, or did not become whole."""
        return self._nodes.error

    @property
    def doing(self) -> str:
        """What is being done now, or was just."""
        since = self._now_s() - _SHOWN_S
        recent = [deed for deed in self.deeds if deed.ended_s is None or deed.ended_s > since]
        return ", ".join(map(str, recent))

    def begin(self, murder: Murder) -> None:
        """Carry a murder out."""
        doers: dict[Kind, Callable[[Slot], Callable[[], None] | None]] = {
            Kind.KILL: self._kill,
            Kind.FREEZE: self._freeze,
            Kind.LEAVE: self._leave,
            Kind.CUT: self._cut,
            Kind.SLOW: self._slow,
        }
        match murder.kind:
            case Kind.JOIN:
                self._join(murder)
            case Kind.KILL_BROKER | Kind.FREEZE_BROKER | Kind.RESTART_BROKER:
                self._to_a_broker(murder)
            case Kind.KILL_TRAINER | Kind.FREEZE_TRAINER:
                self._to_a_trainer(murder)
            case _:
                self._to_a_worker(murder, doers[murder.kind])

    def look_after(self) -> None:
        """End what has lasted long enough, and begin what was put off."""
        now = self._now_s()
        for deed, end in [each for each in self._lasting if each[0].murder.until_s <= now]:
            self._lasting.remove((deed, end))
            self._end(deed, end)
        self._nodes.look_after()
        if self._put_off and not self._nodes.hurt:
            self._to_a_broker(replace(self._put_off.pop(0), at_s=now))

    def close(self) -> None:
        """End everything that lasts, at once, and return when it has."""
        self._put_off.clear()
        for deed, end in self._lasting:
            self._end(deed, end)
        self._lasting.clear()
        self._nodes.close()

    def _to_a_worker(self, murder: Murder, do: Callable[[Slot], Callable[[], None] | None]) -> None:
        victims = self._workers.candidates()
        if not victims or (murder.kind is Kind.LEAVE and len(victims) <= LEAST):
            self.skipped.append(murder)
            return
        victim = victims[int(murder.pick * len(victims))]
        stop = self._recoveries.stopped(partitions_of(victim) if murder.kind in STOPPING_KINDS else ())
        self._note(murder, victim.name, do(victim), static=victim.static, stop=stop)

    def _to_a_trainer(self, murder: Murder) -> None:
        trainers = self._trainers
        victims = trainers.candidates() if trainers is not None else []
        if trainers is None or not victims:
            self.skipped.append(murder)
            return
        victim = victims[int(murder.pick * len(victims))]
        if murder.kind is Kind.KILL_TRAINER:
            trainers.kill(victim)
            end = None
        else:
            end = _frozen(trainers, victim)
        self._note(murder, victim.name, end, static=victim.static)

    def _join(self, murder: Murder) -> None:
        if len([slot for slot in self._workers.slots if slot.wanted]) >= MOST:
            self.skipped.append(murder)
            return
        slot = self._workers.add()
        self._note(murder, slot.name, None, static=slot.static)

    def _to_a_broker(self, murder: Murder) -> None:
        if self._nodes.hurt:
            self._put_off.append(murder)
        elif (begun := self._nodes.begin(murder)) is None:
            self.skipped.append(murder)
        else:
            self._note(murder, *begun)

    def _end(self, deed: Deed, end: Callable[[], None]) -> None:
        def ended() -> None:
            deed.ended_s = self._now_s()

        if deed.murder.kind in BROKER_KINDS:
            self._nodes.restore(end, ended)
        else:
            end()
            ended()

    def _note(
        self,
        murder: Murder,
        whom: str,
        end: Callable[[], None] | None,
        *,
        static: bool = False,
        stop: Stop | None = None,
    ) -> None:
        deed = Deed(murder, whom, self._now_s(), static=static, stop=stop)
        self.deeds.append(deed)
        if end is None:
            deed.ended_s = deed.began_s
        else:
            self._lasting.append((deed, end))

    def _kill(self, slot: Slot) -> None:
        self._workers.kill(slot)

    def _leave(self, slot: Slot) -> None:
        self._workers.leave(slot)

    def _cut(self, slot: Slot) -> None:
        self._workers.signal(slot, signal.SIGUSR1)

    def _freeze(self, slot: Slot) -> Callable[[], None]:
        return _frozen(self._workers, slot)

    def _slow(self, slot: Slot) -> Callable[[], None]:
        self._workers.signal(slot, signal.SIGUSR2)
        return lambda: None  # it becomes as fast as before by itself


def _frozen(group: Workers, slot: Slot) -> Callable[[], None]:
    """Stop a process; return what lets it go on, unless it was killed meanwhile."""
    group.signal(slot, signal.SIGSTOP)
    slot.frozen = True
    process = slot.process

    def wake() -> None:
        slot.frozen = False
        if process is not None and slot.process is process:
            group.signal(slot, signal.SIGCONT)

    return wake
