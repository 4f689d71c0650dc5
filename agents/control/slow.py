"""Commands that take long: told while the others wait for them, and given up where Kafka ended their transactions."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from schemas.errors import Fenced

logger = logging.getLogger(__name__)

TRANSACTION_S: Final = 300.0
"""Long enough for an import of 100,000 documents. The next controller aborts what a dead one left open at once."""
TRIES: Final = 2
"""How often a command's transaction may take longer than that before it is rejected: all others wait for it."""
_TOLD_S: Final = 10.0


class SlowCommands:
    """How often the transaction of each command took longer than Kafka leaves one open.

    Args:
        open_s: How long that is.
    """

    def __init__(self, open_s: float = TRANSACTION_S) -> None:
        self._open_s = open_s
        self._counts: Counter[str] = Counter()

    @contextmanager
    def counted(self, command_id: str) -> Iterator[None]:
        """Count a transaction that takes too long; forget a command whose transaction ends."""
        began_s = time.monotonic()
        try:
            yield
        except Fenced:
            if time.monotonic() - began_s >= self._open_s:
                self._counts[command_id] += 1
            raise
        self._counts.pop(command_id, None)

    def why_rejected(self, command_id: str) -> str | None:
        """Return why a command is not tried again, if it is not."""
        if self._counts[command_id] < TRIES:
            return None
        return (
            f"its transaction was still open after {self._open_s:.0f} s, {TRIES} times, and Kafka ended it; "
            "expected it to take less: hand it in again when Kafka has less to do"
        )


@contextmanager
def told_if_slow(offset: int) -> Iterator[None]:
    """Say once that a command takes long: those behind it wait, and Kafka itself may be what holds it up, silently."""
    words = ("command at offset %d is not done after %.0f s; those behind it wait", offset, _TOLD_S)
    extra = {"action": "controller_slow"}
    telling = asyncio.get_running_loop().call_later(_TOLD_S, partial(logger.warning, *words, extra=extra))
    try:
        yield
    finally:
        telling.cancel()
