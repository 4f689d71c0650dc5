"""Workers and trainers of a run: started, murdered, started again. Each has a slot, whose name outlives it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson

from agents.last_words import last_words
from agents.leaving import BAD_SETTINGS, TOO_MANY_DEAD_LETTERS
from schemas.errors import LexstreamError

MOST: Final = 4
LEAST: Final = 1
_AGAIN_S: Final = 0.3
_LEAVE_S: Final = 25.0
_RAISED: Final = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception))(?:: .*)?$")
"""The last line of what nobody caught."""
_TAIL_BYTES: Final = 64 * 1024
_HOPELESS: Final = frozenset({BAD_SETTINGS, TOO_MANY_DEAD_LETTERS})


class Membership(StrEnum):
    """How processes belong to their consumer group."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    BOTH = "both"
    """Every other one is static."""


class Sabotage(StrEnum):
    """What is wrong with a worker."""

    COMMIT_BEFORE_PRODUCE = "commit-before-produce"
    ONE_PRODUCER = "one-producer"


@dataclass
class Slot:
    """A place for a worker.

    Attributes:
        name: Of the process.
        static: Whether it is a static member of its group.
        log: What it says.
        said_before: Length of the log when its present process was started.
        wanted: Whether a worker shall run here.
        frozen: Whether it was stopped.
        again_at: When it may be started again.
        leaving_until: When one that was told to leave is killed.
    """

    name: str
    static: bool
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    wanted: bool = True
    frozen: bool = False
    again_at: float = 0.0
    leaving_until: float = 0.0
    said_before: int = 0

    @property
    def alive(self) -> bool:
        """Whether its process runs, or would if it were not frozen."""
        return self.process is not None and self.process.poll() is None

    @property
    def leaving(self) -> bool:
        """Whether it was told to leave."""
        return not self.wanted

    @property
    def active(self) -> bool:
        """Whether it can be murdered."""
        return self.alive and self.wanted and not self.frozen


@dataclass
class Workers:
    """All processes of one program. Belongs to one thread.

    Attributes:
        given: What all of them are told: ``settings``, and what else their program reads.
        folder: Where they log.
        program: What is started: a module's name, and arguments.
        name: What each is called, with a number behind it.
        membership: Which of them are static members of their group.
        ends: How often a worker ended by itself, by its exit code and error; killed ones do not count.
    """

    given: Mapping[str, Any]
    folder: Path
    program: Sequence[str] = ("agents.prove.worker",)
    name: str = "worker"
    membership: Membership = Membership.BOTH
    ends: Counter[str] = field(default_factory=Counter)
    slots: list[Slot] = field(default_factory=list)
    n_started: int = 0

    def add(self) -> Slot:
        """Begin another slot, or one that was left, with a new worker."""
        for slot in self.slots:
            if not slot.wanted and not slot.alive:
                self._note_end(slot)
                slot.wanted, slot.again_at = True, 0.0
                break
        else:
            slot = self._new_slot()
        self._start(slot)
        return slot

    def candidates(self) -> list[Slot]:
        """Return those that can be murdered."""
        return [slot for slot in self.slots if slot.active]

    def all_at_work(self) -> bool:
        """Whether each has partitions: a murder of one that is only starting finds out little."""
        return all(slot.alive and partitions_of(slot) for slot in self.slots)

    def kill(self, slot: Slot) -> None:
        """Kill -9 it; it comes again soon. If it had ended by itself just before, that is noted."""
        if slot.process is None:
            return
        slot.process.kill()
        if slot.process.wait() == -signal.SIGKILL:
            self._gone(slot)
        else:
            self._note_end(slot)

    def signal(self, slot: Slot, number: signal.Signals) -> None:
        """Send a signal to a worker."""
        if slot.process is not None:
            slot.process.send_signal(number)

    def leave(self, slot: Slot) -> None:
        """Tell it to leave the group in order, and do not start it again."""
        slot.wanted, slot.leaving_until = False, time.monotonic() + _LEAVE_S
        self.signal(slot, signal.SIGTERM)

    def look_after(self) -> None:
        """Start again what ended.

        Raises:
            LexstreamError: A worker ended in a way that it would again.
        """
        for slot in self.slots:
            self._note_end(slot)
            if slot.alive and not slot.wanted and time.monotonic() > slot.leaving_until:
                self.ends["had to be killed when it was told to leave"] += 1
                self.kill(slot)
            if slot.wanted and slot.process is None and time.monotonic() >= slot.again_at:
                self._start(slot)

    def stop(self) -> None:
        """End all, in order where that works."""
        for slot in self.slots:
            self.signal(slot, signal.SIGCONT)
            self.leave(slot)
        while any(slot.alive for slot in self.slots):
            self.look_after()
            time.sleep(0.05)
        self.look_after()

    def close(self) -> None:
        """Kill what is left."""
        for slot in self.slots:
            slot.wanted = False
            with suppress(LexstreamError):  # whatever it ended with, it shall not come again
                self.kill(slot)

    def _new_slot(self) -> Slot:
        number = len(self.slots)
        name = f"{self.name}-{number}"
        static = self.membership is Membership.STATIC or (self.membership is Membership.BOTH and number % 2 == 0)
        self.slots.append(Slot(name, static, self.folder / f"{name}.log"))
        return self.slots[-1]

    def _start(self, slot: Slot) -> None:
        slot.said_before = slot.log.stat().st_size if slot.log.exists() else 0
        slot.process = _spawn(self.program, slot.log)
        slot.frozen = False
        self.n_started += 1
        stdin = slot.process.stdin
        if stdin is None:
            raise AssertionError("a process without stdin")
        home = self.folder / "homes" / slot.name
        home.mkdir(parents=True, exist_ok=True)
        own = {"group_instance_id": slot.name if slot.static else None, "home": str(home)}
        settings = {**self.given["settings"], **own}
        with suppress(BrokenPipeError):
            stdin.write(orjson.dumps({**self.given, "settings": settings}, default=str) + b"\n")
            stdin.flush()

    def _note_end(self, slot: Slot) -> None:
        """Take down how its process ended, if it has."""
        code = slot.process.poll() if slot.process is not None else None
        if code is None:
            return
        if not slot.leaving or code not in {0, -signal.SIGTERM}:  # SIGTERM kills who was told before it could listen
            self.ends[f"exit code {code}, {_why(slot)}"] += 1
        self._gone(slot)
        if code in _HOPELESS:
            raise LexstreamError(f"{slot.name} ended with {code}: {_last_words(slot)}")

    def _gone(self, slot: Slot) -> None:
        if slot.process is not None and slot.process.stdin is not None:
            with suppress(BrokenPipeError):
                slot.process.stdin.close()
        slot.process, slot.frozen = None, False
        slot.again_at = time.monotonic() + _AGAIN_S


def partitions_of(slot: Slot) -> list[tuple[str, int]]:
    """Return the input partitions that a worker had when it last spoke of them."""
    for said in _said_last(slot):
        if said.get("action") == "assigned":
            named = (name.rpartition("/") for name in said["partitions"])
            return [(topic, int(number)) for topic, _, number in named]
        if said.get("action") == "revoked":
            return []
    return []


def _spawn(program: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    temporary = log.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *program],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the others
            env=os.environ | {"TMPDIR": str(temporary)},  # what is killed does not tidy up
        )


def _why(slot: Slot) -> str:
    """Return the class of the error that a worker's last process left with, by its log."""
    for said in _said_last(slot):
        if said.get("action") == "leave":
            return str(said["message"]).removeprefix("leaving: ").partition(":")[0].partition("\n")[0]
    raised = _RAISED.match((_lines(slot.log, since=slot.said_before) or [""])[-1])
    return raised[1] if raised else "without a word"


def _said_last(slot: Slot) -> Iterator[dict[str, Any]]:
    """Return what its process logged, the last first; other lines may be anything, also JSON that is no object."""
    for line in reversed(_lines(slot.log, since=slot.said_before)):
        with suppress(orjson.JSONDecodeError):
            if isinstance(said := orjson.loads(line), dict):
                yield said


def _last_words(slot: Slot) -> str:
    return last_words("\n".join(_lines(slot.log, since=slot.said_before))) or "it said nothing"


def _lines(log: Path, *, since: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(since, log.stat().st_size - _TAIL_BYTES))
        return [line for line in file.read().decode("utf-8", errors="replace").splitlines() if line.strip()]
