"""Every error Lexstream raises, as one tree that says what to do about it.

A caller asks the error's ``disposition``, never its message:

* ``REJECT``: this input is bad; it becomes a dead letter, an error entry or a rejected command, the rest goes on.
* ``RETRY``: the world is bad; abort, back off, try again.
* ``CRASH``: we are bad, or somebody else took over; leave the process at once, the log is intact.

::

    LexstreamError
    ├── EventError              REJECT   a dead letter; its class says the stage
    │   ├── DecodeError         decode   bytes that are no JSON or Avro
    │   │   ├── UnknownSchema   decode   an Avro schema id that nobody knows
    │   │   └── UnreadableRecord decode  a batch that cannot be read; nobody has the bytes
    │   ├── InvalidEvent        validate fields missing, of the wrong type or out of bounds
    │   │   └── OversizedEvent  validate larger than an event may be
    │   ├── TasksFailed         model    no task of the document could be served
    │   ├── ModelError          model    the model broke on this document
    │   └── EncodeError         encode   the result cannot be written
    ├── InvalidInput            REJECT   a command or a file, with every problem and its place
    │   ├── InvalidLabels
    │   ├── InvalidSettings
    │   └── TopicMissing                 the node that was asked knows no such topic
    ├── ArtefactError           REJECT   a model that must not be served
    │   ├── ArtefactNotFound
    │   ├── ArtefactCorrupt
    │   └── SelfTestFailed
    ├── TrainingError           REJECT   a training that cannot succeed
    ├── Unavailable             RETRY    broker, store or schema registry does not answer
    │   └── NoSpace                      the store's disk is full
    └── Fatal                   CRASH
        ├── Fenced                       another process owns the partition now
        └── DeadLetterLimitExceeded      nearly everything turned bad
"""

import errno
from collections.abc import Sequence
from enum import Enum
from typing import ClassVar, Final

DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write says when there is no room: on the disk, in a quota, or beyond the largest file that is allowed."""


class Disposition(Enum):
    """What the one who catches an error has to do."""

    REJECT = "reject"
    RETRY = "retry"
    CRASH = "crash"


class LexstreamError(Exception):
    """Something went wrong in Lexstream."""

    disposition: ClassVar[Disposition] = Disposition.REJECT

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or type(self).__name__).splitlines()[0])


class EventError(LexstreamError):
    """A document event cannot be enriched."""

    stage: ClassVar[str] = "validate"


class DecodeError(EventError):
    """The value is neither JSON nor Avro."""

    stage = "decode"


class UnknownSchema(DecodeError):
    """The Avro schema id is not known."""


class UnreadableRecord(DecodeError):
    """The record cannot be read out of its batch; its dead letter has no content."""


class InvalidEvent(EventError):
    """The document event has missing or wrong fields."""


class OversizedEvent(InvalidEvent):
    """The event is larger than an event may be."""


class TasksFailed(EventError):
    """None of the document's tasks could be served."""

    stage = "model"


class ModelError(EventError):
    """The model failed on this document."""

    stage = "model"


class EncodeError(EventError):
    """The enriched document cannot be written."""

    stage = "encode"


class InvalidInput(LexstreamError):
    """The input is not valid.

    Attributes:
        problems: Everything that is wrong, each with its place, such as ``documents[3].entities[0]: …``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class InvalidLabels(InvalidInput):
    """The labels are not valid."""


class InvalidSettings(InvalidInput):
    """The settings are not valid."""


class TopicMissing(InvalidInput):
    """A topic does not exist, or the node that was asked has not heard of it yet."""


class ArtefactError(LexstreamError):
    """The model cannot be served."""


class ArtefactNotFound(ArtefactError):
    """The model is not in the store."""


class ArtefactCorrupt(ArtefactError):
    """The stored model is damaged or was tampered with."""


class SelfTestFailed(ArtefactError):
    """The model does not give the results that it gave when it was trained."""


class TrainingError(LexstreamError):
    """The training cannot succeed."""


class Unavailable(LexstreamError):
    """A service does not answer."""

    disposition = Disposition.RETRY


class NoSpace(Unavailable):
    """The disk of the model store is full; free some space."""


class Fatal(LexstreamError):
    """The process must stop."""

    disposition = Disposition.CRASH


class Fenced(Fatal):
    """Another process owns the partition now."""


class DeadLetterLimitExceeded(Fatal):
    """Nearly every event turned into a dead letter; stopped rather than drain the topic."""


def forget_frames(error: BaseException) -> None:
    """Drop the frames of an error that is kept as a value, and of those that it came from.

    Frames hold all that was at hand when it was raised, such as loaded models; and who holds the error is often held by
    one of them in turn, so that it stays until the garbage collector looks at what is old, which may take hours.
    """
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
