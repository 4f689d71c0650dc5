"""What went by while somebody watched: how many documents, dead letters by reason, and events that were sent back."""

from collections import Counter
from typing import TYPE_CHECKING

from agents.cli.render.dead_letters import reasons_line
from agents.cli.render.text import counted
from schemas.dead_letters import DeadLetter, is_replayed
from schemas.errors import DecodeError

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord


class Tally:
    """Counts records."""

    def __init__(self) -> None:
        self._n_others = 0
        self._n_replayed = 0
        self._dead: Counter[str] = Counter()

    def take(self, record: "ConsumerRecord") -> None:
        """Count a record."""
        self._n_replayed += is_replayed(record.headers)
        try:
            self._dead[DeadLetter.from_headers(record.headers).error] += 1
        except DecodeError:
            self._n_others += 1

    @property
    def n_records(self) -> int:
        """How many there were."""
        return self._n_others + self._dead.total()

    def __str__(self) -> str:
        parts = [counted(self._n_others, "document")]
        if self._dead:
            parts.append(f"{counted(self._dead.total(), 'dead letter')} ({reasons_line(self._dead)})")
        if self._n_replayed:
            parts.append(f"{self._n_replayed:,} replayed")
        return ", ".join(parts)
