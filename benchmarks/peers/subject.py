"""What is measured, as the runner sees it: something to start that answers documents on a topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.peers.judging import Answer
from benchmarks.peers.programs.common import Setup

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Document:
    """A document and the shard it is published to.

    Attributes:
        id: Comes back in its answer.
        text: Never logged.
        shard: Its partition, and its key: batches of some peers are of one key.
    """

    id: str
    text: str
    shard: int


@dataclass(frozen=True)
class Message:
    """What is sent to, or came from, a topic."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Subject(Protocol):
    """Something that answers documents.

    Attributes:
        name: How ``--only`` calls it.
        guarantee: What its figure is for.
        share: How many documents it gets, as a share of all: the slow ones would take minutes.
        sees_only_new: Whether it passes over documents that were there before it.
        environment: Variables it needs beside those of ``Setup``.
    """

    @property
    def name(self) -> str: ...
    @property
    def guarantee(self) -> str: ...
    @property
    def share(self) -> float: ...
    @property
    def sees_only_new(self) -> bool: ...
    @property
    def environment(self) -> Mapping[str, str]: ...

    def install(self) -> None:
        """Make what it runs in. Raises ``NotInstalled``."""

    def version(self) -> str:
        """Say what is measured, with its version."""

    def topics(self, prefix: str) -> tuple[str, str]:
        """Return the names of its input and its output topic."""

    def prepare(self, setup: Setup) -> None:
        """Make what it needs before it starts, and its topics if they have to be set up in a way of its own."""

    def command(self, setup: Setup) -> list[str]:
        """Return what starts it."""

    def message(self, document: Document) -> Message:
        """Return how a document is published to it."""

    def answer(self, message: Message) -> Answer:
        """Read what it sent."""
