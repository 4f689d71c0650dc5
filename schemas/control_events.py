"""Control events: everything that happened, for people, programs and audits."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import uuid4

from pydantic import Field

from schemas.base import Message, Timestamp, now

MAX_SENTENCES = 100
MAX_SENTENCE_CHARS = 1000


def few(sentences: Sequence[str]) -> list[str]:
    """Return the first of ``sentences``, and how many more there are: an event has to fit its topic."""
    cut = [
        sentence if len(sentence) <= MAX_SENTENCE_CHARS else f"{sentence[:MAX_SENTENCE_CHARS]}…"
        for sentence in sentences[:MAX_SENTENCES]
    ]
    n_more = len(sentences) - len(cut)
    return [*cut, f"and {n_more} more"] if n_more else cut


class EventType(StrEnum):
    """What happened. Every command ends in one of rejected, succeeded, failed or cancelled."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PROGRESS = "progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SWITCHED = "switched"


class ControlEvent(Message):
    """Something that happened to a command, a job or a deployment.

    ``details`` by event: ``rejected`` and ``failed`` have ``problems`` (a list of sentences); ``progress`` of a job
    has ``jobId``, ``stage``, ``fraction`` (0 to 1) and what the stage measures; without ``command_id``, ``progress``
    says that a worker which has just started serves what was deployed before, and its details are those of a
    deployment's ``succeeded``; ``switched`` has ``deployment``, ``topic``, ``partition``, ``offset`` (the first one
    answered by the new model), ``from`` and ``to`` (digests; ``from`` is null for the first window after a partition
    was assigned).
    """

    id: str = Field(default_factory=lambda: str(uuid4()))
    command_id: str | None = None
    project: str
    event: EventType
    at: Timestamp = Field(default_factory=now)
    details: dict[str, Any] = {}
