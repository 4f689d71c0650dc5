"""When nearly every event turns into a dead letter the fault is ours: stop, rather than drain the topic."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from schemas.errors import DeadLetterLimitExceeded

WINDOW = 1000
_MOST_REASONS = 3


@dataclass(slots=True)
class _Tally:
    """Events, and how many of them are dead letters, by reason."""

    n_events: int = 0
    dead: Counter[str] = field(default_factory=Counter)

    def add(self, other: "_Tally") -> None:
        self.n_events += other.n_events
        self.dead += other.dead

    def remove(self, other: "_Tally") -> None:
        self.n_events -= other.n_events
        self.dead -= other.dead


class DeadLetterLimit:
    """Watches the last 1,000 events, those of the transactions in flight included. Of fewer there is no verdict.

    Args:
        share: Most of them that may become dead letters.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._parts: deque[_Tally] = deque()
        self._committed = _Tally()
        self._in_flight = _Tally()

    @contextmanager
    def counted(self, n_events: int, dead: Mapping[str, int]) -> Iterator[None]:
        """Count the events of a transaction while it runs, and for good if the block ends without an error.

        An aborted transaction is done again, so its events must not count a second time.

        Raises:
            DeadLetterLimitExceeded: If too many of the last events are dead letters with these: before the block.
        """
        part = _Tally(n_events, Counter(dead))
        self._in_flight.add(part)
        try:
            self._judge()
            yield
            self._commit(part)
        finally:
            self._in_flight.remove(part)

    def _judge(self) -> None:
        last = _Tally()
        last.add(self._committed)
        last.add(self._in_flight)
        for part in self._parts:
            if last.n_events - part.n_events < WINDOW:
                break
            last.remove(part)
        n_dead = last.dead.total()
        if last.n_events >= WINDOW and n_dead > self._share * last.n_events:
            raise DeadLetterLimitExceeded(_words(last, self._share))

    def _commit(self, part: _Tally) -> None:
        self._parts.append(part)
        self._committed.add(part)
        while self._committed.n_events - self._parts[0].n_events >= WINDOW:
            self._committed.remove(self._parts.popleft())


def _words(last: _Tally, share: float) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in last.dead.most_common(_MOST_REASONS))
    return (
        f"{last.dead.total():,} of the last {last.n_events:,} events became dead letters ({reasons}), expected at most "
        f"{share:.0%}; look at them with `lexstream dead-letters list`, mend what is wrong or raise "
        "dead_letter_limit, start again, and send them back with `lexstream dead-letters replay`"
    )
