"""One input partition: each event has to come out once, and what came out is remembered only until that is certain."""

from dataclasses import dataclass, field
from typing import Final

DEAD: Final = ""
"""In the place of a digest: the event became a dead letter."""
MOST_AHEAD: Final = 100_000
"""Outputs ahead of one that is missing, before it counts as lost: more than topics are read apart."""


@dataclass(slots=True)
class Run:
    """Events one after another that the same model answered; dead letters between them count for none.

    Attributes:
        first: Offset of the first.
        last: Offset of the last.
        n_events: How many.
    """

    digest: str
    first: int
    last: int
    n_events: int = 1


@dataclass(slots=True)
class Ledger:
    """What came out of one input partition. Memory does not grow with the events, unless some are lost.

    Attributes:
        n_expected: How many events were published; offsets begin at 0.
        next: The lowest offset that was not seen and is not lost.
        ahead: What was seen beyond, and which model answered.
        missing: What counts as lost.
        runs: Which models answered, in the order of offsets.
    """

    n_expected: int
    next: int = 0
    ahead: dict[int, str] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)

    def note(self, offset: int, digest: str) -> bool:
        """Take down that an event came out; return whether it had not before.

        Which model answered one that counted as lost is not kept: so far behind its partition it is out of order.
        """
        if offset in self.missing:
            self.missing.remove(offset)
            return True
        if offset < self.next or offset in self.ahead:
            return False
        self.ahead[offset] = digest
        self._advance()
        if len(self.ahead) > MOST_AHEAD:
            self._give_up_until(min(self.ahead))
        return True

    @property
    def complete(self) -> bool:
        """Whether every event came out."""
        return self.next >= self.n_expected and not self.missing

    @property
    def n_seen(self) -> int:
        """How many different events came out."""
        return self.next - len(self.missing) + len(self.ahead)

    @property
    def cut_off(self) -> bool:
        """Whether the last event never came out; known when it is closed."""
        return self.n_expected - 1 in self.missing

    def close(self) -> list[int]:
        """Return the offsets of the events that never came out; nothing more will."""
        while self.ahead:
            self._give_up_until(min(self.ahead))
        self.missing.update(range(self.next, self.n_expected))
        self.next = max(self.next, self.n_expected)
        return sorted(self.missing)

    def _give_up_until(self, offset: int) -> None:
        self.missing.update(range(self.next, offset))
        self.next = offset
        self._advance()

    def _advance(self) -> None:
        while (digest := self.ahead.pop(self.next, None)) is not None:
            if digest != DEAD:
                self._extend(digest)
            self.next += 1

    def _extend(self, digest: str) -> None:
        if self.runs and self.runs[-1].digest == digest:
            run = self.runs[-1]
            run.last, run.n_events = self.next, run.n_events + 1
        else:
            self.runs.append(Run(digest, self.next, self.next))
