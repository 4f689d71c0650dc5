"""What is published, and what has to come of it. Pure: a function of the event's place and the texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from agents.prove.events import PARTITIONS, LaneName, Place, Poison, poison

SEED = 1
LONG_CHARS = 200_000
BULK_SHARE = 7 / 8
"""Of all events; the others are for the interactive lane."""


@dataclass(frozen=True)
class Traffic:
    """The events of a run.

    Attributes:
        rate: Events a second.
        texts: What documents are made of.
    """

    rate: float
    texts: Sequence[str]

    @property
    def bulk_a_minute(self) -> int:
        """How many events of the bulk lane are published in a minute."""
        return max(2, round(60 * self.rate * BULK_SHARE))

    def broken(self, place: Place) -> Poison | None:
        """Return what is wrong with an event, if anything. A word that breaks the echo breaks no model."""
        found = poison(SEED, place)
        return None if found is None or found.error == "ModelError" else found

    def is_long(self, place: Place) -> bool:
        """Whether an event is the minute's long document; these come to one partition after another."""
        if place.lane is not LaneName.BULK:
            return False
        minute, within = divmod(place.number, self.bulk_a_minute)
        return within == self._long_at(minute) and self.broken(place) is None

    def text(self, place: Place) -> str:
        """Return a document's text; no two are alike."""
        first = f"No. {place.number} of the {place.lane} lane. "
        if not self.is_long(place):
            return first + self.texts[place.number % len(self.texts)]
        words = " ".join(self.texts)
        return (first + words * (1 + LONG_CHARS // len(words)))[:LONG_CHARS]

    def value(self, place: Place) -> bytes | None:
        """Return what is published."""
        bad = self.broken(place)
        if bad is not None:
            return bad.value and bad.value.replace(b"%s", place.id.encode())
        return json.dumps({"id": place.id, "text": self.text(place)}).encode()

    def _long_at(self, minute: int) -> int:
        """Return which event of a minute is long: one near the middle, of the partition whose turn it is."""
        middle = self.bulk_a_minute // 2
        if middle < PARTITIONS:
            return middle
        return middle - (minute * self.bulk_a_minute + middle) % PARTITIONS + minute % PARTITIONS
