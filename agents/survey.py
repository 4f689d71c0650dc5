"""Counting dead letters: by reason and by source, and the newest of them; with memory for no more than these. Pure."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.letters import Letter, Selection
from schemas.errors import EventError, InvalidInput


@dataclass(frozen=True, slots=True)
class Counts:
    """How many letters there are of a kind, how many of them were replayed, and when the newest came."""

    n_letters: int = 0
    n_replayed: int = 0
    newest_ms: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.n_letters + other.n_letters,
            self.n_replayed + other.n_replayed,
            max(self.newest_ms, other.newest_ms),
        )


@dataclass
class Survey:
    """What there is of what somebody wants.

    Attributes:
        selection: What is wanted.
        n_newest: How many to keep.
        reasons: By error and stage.
        sources: By topic and partition.
        there: By error and stage, of all letters of the wanted time and source: which reasons one could ask for.
        keep: What to keep of the newest: by default not their values, which may be megabytes.
    """

    selection: Selection
    n_newest: int
    reasons: dict[tuple[str, str], Counts] = field(default_factory=dict)
    sources: dict[tuple[str, int], Counts] = field(default_factory=dict)
    there: dict[tuple[str, str], Counts] = field(default_factory=dict)
    keep: Callable[[Letter], Letter] = Letter.without_value
    _newest: list[tuple[int, int, int, Letter, bool]] = field(default_factory=list)

    def take(self, letter: Letter, *, replayed: bool) -> None:
        """Count a letter if it is wanted."""
        if not self.selection.covers(letter):
            return
        record, facts = letter.record, letter.facts
        one = Counts(1, int(replayed), record.timestamp)
        reason = facts.error, facts.stage
        self.there[reason] = self.there.get(reason, _NONE) + one
        if not self.selection.has_reason(letter):
            return
        source = facts.topic, facts.partition
        self.reasons[reason] = self.reasons.get(reason, _NONE) + one
        self.sources[source] = self.sources.get(source, _NONE) + one
        self._keep(letter, replayed=replayed)

    def _keep(self, letter: Letter, *, replayed: bool) -> None:
        record = letter.record
        place = record.timestamp, record.partition, record.offset
        if len(self._newest) < self.n_newest:
            heapq.heappush(self._newest, (*place, self.keep(letter), replayed))
        elif self._newest and place > self._newest[0][:3]:
            heapq.heapreplace(self._newest, (*place, self.keep(letter), replayed))

    @property
    def total(self) -> Counts:
        """All that are wanted."""
        return sum(self.reasons.values(), start=_NONE)

    @property
    def newest(self) -> list[tuple[Letter, bool]]:
        """The newest letters, oldest first, each with whether it was replayed."""
        return [(letter, replayed) for *_, letter, replayed in sorted(self._newest, key=lambda entry: entry[:3])]

    def require_reasons(self) -> None:
        """Refuse reasons that no letter has and no worker gives: words that were mistyped.

        Raises:
            InvalidInput: With each of them, and the reasons and stages that there are.
        """
        known = {word for pair in self.there for word in pair} | _ours(EventError)
        ranked = sorted(self.there.items(), key=lambda each: -each[1].n_letters)
        words = _visible(", ".join(f"{error} ({stage}, {counts.n_letters:,})" for (error, stage), counts in ranked))
        expected = f"expected one of: {words}" if words else "there are no such dead letters at all"
        if problems := [
            f"--reason {reason}: no dead letter has it; {expected}"
            for reason in sorted(self.selection.reasons)
            if reason not in known
        ]:
            raise InvalidInput(problems)


def _ours(error: type[EventError]) -> set[str]:
    """Return the reasons and stages of an error and of all that are of its kind."""
    return {error.__name__, error.stage}.union(*map(_ours, error.__subclasses__()))


def _visible(text: str) -> str:
    # Whoever may write to the topic may have written anything, and this goes to a terminal.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


_NONE = Counts()
