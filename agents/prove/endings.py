"""Why processes ended by themselves, and whether somebody else was to blame. Pure."""

import builtins
import re
import signal
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

from agents.leaving import NO_BROKER
from schemas import errors
from schemas.errors import Disposition, LexstreamError

_END: Final = re.compile(r"exit code (-?\d+), (?:[\w.]*\.)?(\w*)(?: \(because of (\w+)\))?")
_CODES: Final = frozenset({NO_BROKER, *(-number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))})
"""Kafka did not answer at the start, memory ran out, or somebody wanted it."""


def mistakes(ends: Mapping[str, int]) -> dict[str, int]:
    """Return the ends of processes that no failure of Kafka or of the machine explains, such as an AssertionError.

    Args:
        ends: How often a process ended so, by ``exit code N, Class (because of Class)``.
    """
    return {end: count for end, count in ends.items() if (how := _END.match(end)) and not _explained(*how.groups())}


def _explained(code: str, name: str, because: str | None) -> bool:
    """Return whether somebody else was to blame; of what was cancelled, that tells why."""
    if int(code) in _CODES:
        return True
    kind = _class(because if because and name == "CancelledError" else name)
    if issubclass(kind, LexstreamError):
        return kind.disposition is not Disposition.REJECT
    return issubclass(kind, _outside())


def _outside() -> Any:
    from aiokafka.errors import KafkaError

    return OSError | MemoryError | KafkaError


def _class(name: str) -> type:
    """Return the class of an error, if those know it who may be to blame."""
    from aiokafka import errors as kafka_errors

    found = (getattr(known, name, None) for known in (builtins, socket, ssl, kafka_errors, errors))
    return next((each for each in found if isinstance(each, type) and each.__name__ == name), object)
