"""How long the partitions of a murdered worker stood still, by what an independent reader saw come out of them.

Only an output that was written after the murder counts. It has to be seen, too: a dead worker's open transaction may
hold back what others commit.
"""

import threading
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str, int]


@dataclass
class Stop:
    """One worker's murder, and when each of its partitions moved again.

    Attributes:
        began_s: When, in seconds of the run.
        written_after: The same moment by the clock that Kafka's records bear.
        seconds: From the murder to the first output of each partition; ``None`` as long as there is none.
        never: The partitions that did not move again though something was left in them; known in the end.
    """

    began_s: float
    written_after: float
    seconds: dict[Place, float | None]
    never: list[Place] = field(default_factory=list)

    @property
    def worst_s(self) -> float | None:
        """Seconds until all partitions moved again; ``None`` if one never did, or nothing was left in any."""
        known = [seconds for seconds in self.seconds.values() if seconds is not None]
        return None if self.never else max(known, default=None)


@dataclass
class Recoveries:
    """Follows the partitions of murdered workers. One thread murders, another reads.

    Attributes:
        now_s: The clock of the run.
        clock: The clock of records.
    """

    now_s: Callable[[], float]
    clock: Callable[[], float] = time.time
    _waiting: dict[Place, list[Stop]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def stopped(self, places: Iterable[Place]) -> Stop:
        """Begin to wait for partitions whose worker is about to be murdered."""
        stop = Stop(self.now_s(), self.clock(), dict.fromkeys(places))
        with self._lock:
            for place in stop.seconds:
                self._waiting.setdefault(place, []).append(stop)
        return stop

    def came_out(self, place: Place, written: float) -> None:
        """Note an output of a partition, written at a moment of the records' clock."""
        if place not in self._waiting:
            return
        with self._lock:
            stops = self._waiting.pop(place, [])
            left = [stop for stop in stops if written < stop.written_after]
            if left:
                self._waiting[place] = left
        for stop in stops:
            if written >= stop.written_after:
                stop.seconds[place] = self.now_s() - stop.began_s

    def close(self, cut_off: Container[Place]) -> None:
        """Note which partitions never moved again: those that are waited for and whose last event is missing."""
        with self._lock:
            for place, stops in self._waiting.items():
                if place in cut_off:
                    for stop in stops:
                        stop.never.append(place)
            self._waiting.clear()
