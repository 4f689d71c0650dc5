"""When nearly every event turns into a dead letter the fault is ours: stop, rather than drain the topic."""

from collections import deque

from schemas.errors import DeadLetterLimitExceeded

WINDOW = 1000


class DeadLetterLimit:
    """Watches the last 1,000 events. Fewer than that were not seen: no verdict.

    Args:
        share: Most of them that may become dead letters.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._parts: deque[tuple[int, int]] = deque()
        self._n_events = 0
        self._n_dead = 0

    def observe(self, n_events: int, n_dead: int) -> None:
        """Count the events of one transaction, before it is committed.

        Raises:
            DeadLetterLimitExceeded: If too many of the last ones are dead letters.
        """
        self._add((n_events, n_dead), 1)
        while self._parts and self._n_events - self._parts[0][0] >= WINDOW:
            self._add(self._parts.popleft(), -1)
        self._parts.append((n_events, n_dead))
        if self._n_events >= WINDOW and self._n_dead > self._share * self._n_events:
            raise DeadLetterLimitExceeded(
                f"{self._n_dead} of the last {self._n_events} events became dead letters, expected at most "
                f"{self._share:.0%}; look at them with `lexstream dead-letters list`, or raise dead_letter_limit"
            )

    def _add(self, part: tuple[int, int], sign: int) -> None:
        self._n_events += sign * part[0]
        self._n_dead += sign * part[1]
