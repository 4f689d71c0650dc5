"""Whether the hot loop gets on. Written by its thread, read by any."""

import time
from collections.abc import Callable, Collection
from typing import Final

Partition = tuple[str, int]
REFUSED: Final = (
    "Kafka has not taken results (too few replicas in sync, a quota, a full disk, or a broker that is away)"
)
STALLED_S = 60.0
"""Something waits, and this long nothing was committed: longer than the slowest window of long documents."""
REFUSED_S = 3.0
"""A transaction that takes longer is not slow: the broker does not take what is written."""


class LoopStatus:
    """The signs of life of the hot loop; each is one value, so no lock is needed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_commit: float | None = None
        self._waiting_since: float | None = None
        self._unwritten: dict[Partition, float] = {}
        self.has_assignment = False
        self.n_partitions = 0
        self.n_waiting = 0

    def committed(self) -> None:
        """Note a commit."""
        self._last_commit = self._clock()
        self._waiting_since = self._last_commit

    def writes(self, partition: Partition) -> None:
        """Note that a partition's window is being written, at the first try or again."""
        self._unwritten.setdefault(partition, self._clock())

    def written(self, partition: Partition) -> None:
        """Note that it was."""
        self._unwritten.pop(partition, None)

    def keep(self, ours: Collection[Partition]) -> None:
        """Forget the partitions that are others' now."""
        for partition in self._unwritten.keys() - set(ours):
            self._unwritten.pop(partition, None)

    @property
    def refused_s(self) -> float:
        """For how long the broker has not taken what was written; 0 while it does."""
        longest = max((self._clock() - since for since in list(self._unwritten.values())), default=0.0)
        return longest if longest > REFUSED_S else 0.0

    def observe(self, *, n_waiting: int, n_partitions: int, has_assignment: bool) -> None:
        """Note how things stand."""
        if n_waiting == 0:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = self._clock()
        self.n_waiting, self.n_partitions, self.has_assignment = n_waiting, n_partitions, has_assignment

    def commit_age(self) -> float:
        """Return the seconds since the last commit; 0 before the first."""
        return 0.0 if self._last_commit is None else self._clock() - self._last_commit

    def problems(self) -> list[str]:
        """Return why the loop is not ready; nothing when it is."""
        if not self.has_assignment:
            return ["no partitions are assigned yet"]
        if seconds := self.refused_s:
            return [f"{REFUSED} for {seconds:.0f} s; trying again, nothing is lost"]
        if (since := self._waiting_since) is not None and self._clock() - since > STALLED_S:
            return [f"{self.n_waiting} events wait and nothing was committed for {self._clock() - since:.0f} s"]
        return []
