"""What a process and all its children take: memory and processor time."""

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

_EVERY_S = 0.25


class Usage:
    """Watches a process and its children in a thread; a context manager.

    Attributes:
        peak_bytes: The most resident memory so far, summed over the processes.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu_s: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def cpu_s(self) -> float:
        """Return the processor seconds so far; of children that left, as much as was seen."""
        self._look()
        return sum(self._cpu_s.values())

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        resident = 0
        with suppress(psutil.NoSuchProcess):
            for process in [self._root, *self._root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    times = process.cpu_times()
                    self._cpu_s[process.pid] = times.user + times.system
                    resident += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, resident)
