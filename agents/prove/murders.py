"""Carries the murders out, and notes what was done to whom."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psutil

from agents.prove.schedule import Kind, Murder
from agents.prove.workers import LEAST, MOST, Slot, Workers
from schemas.errors import Unavailable

BROKER: Final = "broker"
_SHOWN_S: Final = 2.0
"""How long a murder is told of that was over at once."""


class Broker(Protocol):
    """A broker that is ours."""

    def start(self) -> Any:
        """Start it, and return when it answers."""

    def kill(self) -> bool:
        """Kill it."""

    def status(self) -> Any:
        """Return its process id, among others."""


@dataclass
class Deed:
    """A murder that was carried out.

    Attributes:
        whom: Whose.
        began_s: When, in seconds since the first output.
        ended_s: When the victim was let go on, or came back; ``None`` while it lasts.
    """

    murder: Murder
    whom: str
    began_s: float
    ended_s: float | None = None

    def __str__(self) -> str:
        return str(self.murder.kind) if self.whom == BROKER else f"{self.murder.kind} ({self.whom})"


class Murderer:
    """Belongs to the thread that looks after the workers.

    Attributes:
        deeds: What was done.
        skipped: Murders that found no victim.
        error: Why the broker could not be started again.
    """

    def __init__(self, workers: Workers, broker: Broker | None, *, now_s: Callable[[], float]) -> None:
        self._workers = workers
        self._broker = broker
        self._now_s = now_s
        self._lasting: list[tuple[Deed, Callable[[], None]]] = []
        self._restarting: threading.Thread | None = None
        self.deeds: list[Deed] = []
        self.skipped: list[Murder] = []
        self.error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether something lasts."""
        return bool(self._lasting) or self._restarting is not None

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
            case Kind.KILL_BROKER | Kind.FREEZE_BROKER:
                self._to_the_broker(murder)
            case _:
                self._to_a_worker(murder, doers[murder.kind])

    def look_after(self) -> None:
        """End what has lasted long enough."""
        now = self._now_s()
        for deed, end in [each for each in self._lasting if each[0].murder.until_s <= now]:
            self._lasting.remove((deed, end))
            end()
            if deed.murder.kind is not Kind.KILL_BROKER:
                deed.ended_s = self._now_s()
        if self._restarting is not None and not self._restarting.is_alive():
            self._restarting = None

    def close(self) -> None:
        """End everything that lasts, at once, and return when it has."""
        for deed, end in self._lasting:
            end()
            deed.ended_s = self._now_s()
        self._lasting.clear()
        if self._restarting is not None:
            self._restarting.join()

    def _to_a_worker(self, murder: Murder, do: Callable[[Slot], Callable[[], None] | None]) -> None:
        victims = self._workers.candidates()
        if not victims or (murder.kind is Kind.LEAVE and len(victims) <= LEAST):
            self.skipped.append(murder)
            return
        victim = victims[int(murder.pick * len(victims))]
        self._note(murder, victim.name, do(victim))

    def _join(self, murder: Murder) -> None:
        if len([slot for slot in self._workers.slots if slot.wanted]) >= MOST:
            self.skipped.append(murder)
            return
        self._note(murder, self._workers.add().name, None)

    def _to_the_broker(self, murder: Murder) -> None:
        broker = self._broker
        pid = broker.status().pid if broker is not None else None
        if broker is None or pid is None or self._restarting is not None:
            self.skipped.append(murder)
        elif murder.kind is Kind.KILL_BROKER:
            broker.kill()
            self._note(murder, BROKER, self._restart)
        else:
            process = psutil.Process(pid)
            process.suspend()
            self._note(murder, BROKER, process.resume)

    def _note(self, murder: Murder, whom: str, end: Callable[[], None] | None) -> None:
        deed = Deed(murder, whom, self._now_s())
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
        self._workers.signal(slot, signal.SIGSTOP)
        slot.frozen = True
        process = slot.process

        def wake() -> None:
            slot.frozen = False
            if process is not None and slot.process is process:
                self._workers.signal(slot, signal.SIGCONT)

        return wake

    def _slow(self, slot: Slot) -> Callable[[], None]:
        self._workers.signal(slot, signal.SIGUSR2)
        return lambda: None  # it becomes as fast as before by itself

    def _restart(self) -> None:
        """Start the broker in a thread: that takes seconds, in which others go on dying."""
        deed = next(each for each in reversed(self.deeds) if each.murder.kind is Kind.KILL_BROKER)

        def start() -> None:
            try:
                if self._broker is not None:
                    self._broker.start()
            except Unavailable as error:
                self.error = error
            deed.ended_s = self._now_s()

        self._restarting = threading.Thread(target=start, name="broker", daemon=True)
        self._restarting.start()
