"""Which deployments documents asked for lately, and which they will ask for next. May be used from any thread."""

from collections.abc import Collection
from threading import Lock

from agents.serving import Key


class Usage:
    """When each deployment was used last, and what has been promised to those who are about to use it.

    A promise is made to a partition whose documents wait for a model: that it stays until they had their turn.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._moment = 0
        self._last: dict[Key, int] = {}
        self._promised: dict[Key, float] = {}

    def note(self, keys: Collection[Key]) -> bool:
        """Note that a window with documents for these deployments is formed; return whether that kept a promise."""
        with self._lock:
            self._touch(keys)
            kept = [self._promised.pop(key, None) for key in keys]
            return any(until is not None for until in kept)

    def promise(self, keys: Collection[Key], *, until: float) -> None:
        """Keep the models of these deployments until ``note`` or that moment; they count as used."""
        with self._lock:
            self._touch(keys)
            self._promised.update(dict.fromkeys(keys, until))

    def touch(self, key: Key) -> None:
        """Count a deployment as used."""
        with self._lock:
            self._touch((key,))

    def forget(self, key: Key) -> None:
        """Drop what is known of a deployment that is no more."""
        with self._lock:
            self._last.pop(key, None)
            self._promised.pop(key, None)

    def last(self) -> dict[Key, int]:
        """Return when each deployment was used last, as numbers that grow."""
        with self._lock:
            return dict(self._last)

    def promised(self, now: float) -> set[Key]:
        """Return the deployments whose models must stay."""
        with self._lock:
            return {key for key, until in self._promised.items() if until > now}

    def _touch(self, keys: Collection[Key]) -> None:
        self._moment += 1
        self._last.update(dict.fromkeys(keys, self._moment))
