"""What of the registry is too old to be asked for: records of commands, and jobs that have ended. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from heapq import nsmallest
from typing import Final

from agents.control.decision import Changes
from agents.registry import Registry
from schemas.base import Timestamp
from schemas.records import CommandRecord, JobRecord, record_key

COMMANDS_KEPT: Final = timedelta(days=30)
"""How long an id handed in again is known."""
JOBS_KEPT: Final = timedelta(days=90)
"""How long a job that has ended is listed."""
_MOST: Final = 200
"""At a time, so that a registry that grew for years does not make one large transaction."""


def expired(registry: Registry, *, at: Timestamp, most: int = _MOST) -> Changes:
    """Return the changes that take away what is too old, the oldest first, at most ``most`` of it.

    What belongs to a job that has not ended stays: its command, so that it is not begun twice, and the command that
    cancelled it, which its trainer looks for.
    """
    oldest = nsmallest(most, _expired(registry, at), key=lambda pair: pair[0])
    return {key: None for _, key in oldest}


def _expired(registry: Registry, at: Timestamp) -> Iterator[tuple[Timestamp, str]]:
    records = registry.records.values()
    running = {record.id for record in records if isinstance(record, JobRecord) and not record.status.ended}
    for record in records:
        match record:
            case CommandRecord() if at - record.at > COMMANDS_KEPT and not {record.id, _job_of(record)} & running:
                yield record.at, record_key(record)
            case JobRecord() if at - record.updated_at > JOBS_KEPT and record.status.ended:
                yield record.updated_at, record_key(record)


def _job_of(record: CommandRecord) -> str:
    return str(record.details.get("jobId", ""))
