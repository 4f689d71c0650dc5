"""How many events were published, and came out, in each second. Each count has one thread that raises it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Timeline:
    """Counts by second since ``begin``; what was before counts as the first second."""

    clock: Callable[[], float] = time.monotonic
    began: float = 0.0
    in_per_s: list[int] = field(default_factory=list)
    out_per_s: list[int] = field(default_factory=list)
    n_published: int = 0
    last_out_s: float = 0.0
    longest_silence_s: float = 0.0

    def begin(self) -> None:
        """The first output was seen: this is second zero."""
        self.began = self.clock()

    @property
    def now_s(self) -> float:
        """Seconds since the beginning; 0 before it."""
        return self.clock() - self.began if self.began else 0.0

    def published(self) -> None:
        """Count an event that Kafka has acknowledged."""
        self.n_published += 1
        _count(self.in_per_s, self.now_s)

    def came_out(self) -> None:
        """Count an output."""
        now = self.now_s
        self.longest_silence_s = max(self.longest_silence_s, now - self.last_out_s)
        self.last_out_s = now
        _count(self.out_per_s, now)

    def end(self, at_s: float, *, complete: bool) -> None:
        """Count the silence at the end, too, if more was waited for: of a run that stalled it is the longest.

        Args:
            at_s: When nothing more was waited for.
            complete: Whether everything had come out.
        """
        if complete:
            return
        self.longest_silence_s = max(self.longest_silence_s, at_s - self.last_out_s)
        _extend(self.out_per_s, at_s)

    @property
    def n_seconds(self) -> int:
        """Seconds that were watched: until the last that was published or came out, or until the end of a stall."""
        return max(len(self.in_per_s), len(self.out_per_s))

    @property
    def n_seconds_with_output(self) -> int:
        """Seconds in which something came out."""
        return sum(count > 0 for count in self.out_per_s)

    @property
    def silence_s(self) -> float:
        """Seconds since the last output."""
        return self.now_s - self.last_out_s


def _count(per_s: list[int], at_s: float) -> None:
    _extend(per_s, at_s)
    per_s[int(at_s)] += 1


def _extend(per_s: list[int], at_s: float) -> None:
    per_s.extend([0] * (int(at_s) + 1 - len(per_s)))
