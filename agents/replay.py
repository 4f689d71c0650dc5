"""Sending dead letters back to where they came from, each exactly once.

What was replayed is written in the transaction that sends the letters, to a topic of its own. All replays of a
namespace share one transactional id: whoever starts fences the others and ends what they left open, and only then reads
what was replayed before. So a replay may be killed at any time, and repeated.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.client import Client
from agents.fencing import BROKEN, is_fatal, is_fenced
from agents.hanging_up import hang_up_producer
from agents.hotloop.answers import Outgoing, outgoing
from agents.hotloop.limits import Limits, read_limits
from agents.hotloop.transactions import BUILDER_BYTES, abort, pack
from agents.kafka import client_options
from agents.letters import Advanced, Letter, Selection, letters_of
from agents.patience import patience_of
from agents.replayed import CHUNK, Replayed, create_replays, existing_topics, look_up_replayed, read_replayed
from agents.settings import Settings
from schemas.dead_letters import replay_headers
from schemas.errors import Fenced, LexstreamError, Unavailable

MOST_ATTEMPTS = 3
"""A letter that was sent back this often, and failed each time, is left out unless somebody says otherwise."""
_SAMPLES = 50
_TRANSACTION_LETTERS = 500
_TRANSACTION_BYTES = 32 * 1024 * 1024
_TRANSACTIONS = 2
"""How many transaction timeouts we wait for one transaction."""
_STOP_S = 2.0
_EMPTIED = frozenset({"OversizedEvent", "UnreadableRecord"})
"""Errors of letters that may be without key, value and headers."""


class Refusal(StrEnum):
    """Why a letter that was chosen is not sent."""

    FAILED_AGAIN = "failed again after every attempt"
    NO_TOPIC = "its topic does not exist any more"
    NO_INPUT = "its topic is one of ours and no input"
    EMPTIED = "its content could not be put into a letter: publish it again where it came from"
    TOO_LARGE = "it is larger than its topic takes; it may have been published compressed"


@dataclass
class Report:
    """What a replay did, or would do.

    Attributes:
        reasons: How many letters it sent, by error.
        refused: How many it did not, and why.
        samples: The first of those that it sent, without values.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    refused: Counter[Refusal] = field(default_factory=Counter)
    samples: list[Letter] = field(default_factory=list)

    @property
    def n_letters(self) -> int:
        """How many letters it sent."""
        return self.reasons.total()

    @property
    def so_far(self) -> str:
        """What to say where it ended early: what was being sent may have been sent."""
        return f"at least {self.n_letters:,} letters were sent back: run it again, none is sent twice"

    def note(self, letters: Iterable[Letter]) -> None:
        """Count letters that were sent."""
        for letter in letters:
            self.reasons[letter.facts.error] += 1
            if len(self.samples) < _SAMPLES:
                self.samples.append(letter.without_value())


@dataclass(frozen=True, slots=True)
class Targets:
    """The topics that letters may go back to: how many partitions each has, and its largest message."""

    partitions: Mapping[str, int]
    limits: Callable[[str], int]
    ours: str
    """How the names of our own topics begin; those that are no inputs are not among ``partitions``."""

    def refusal(self, letter: Letter, message: Outgoing, *, most_attempts: int) -> Refusal | None:
        """Return why ``letter`` must not be sent as ``message``, if there is a reason."""
        topic = letter.facts.topic
        if letter.attempts >= most_attempts:
            return Refusal.FAILED_AGAIN
        if letter.facts.error in _EMPTIED and message.value is None:
            return Refusal.EMPTIED
        if topic not in self.partitions:
            return Refusal.NO_INPUT if topic.startswith(self.ours) else Refusal.NO_TOPIC
        return Refusal.TOO_LARGE if message.n_bytes > self.limits(topic) else None


class Sender(Protocol):
    """Takes letters away."""

    async def send(self, letters: list[tuple[Letter, Outgoing]]) -> None:
        """Send letters as messages; when this returns they were sent, when it raises perhaps."""


class NoSender:
    """Sends nothing: for a dry run."""

    async def send(self, letters: list[tuple[Letter, Outgoing]]) -> None:
        """Do nothing."""


class TransactionSender:
    """Sends letters, and what is known of them then, in one transaction.

    Args:
        producer: A transactional producer that was started.
        replayed: What was replayed before.
        targets: The topics that letters go to.
        settings: The settings.
    """

    def __init__(self, producer: AIOKafkaProducer, *, replayed: Replayed, targets: Targets, settings: Settings) -> None:
        self._producer = producer
        self._replayed = replayed
        self._topic = settings.topics.replays
        self._counts = {**targets.partitions, self._topic: 1}
        self._limits = targets.limits
        self._patience_s = _TRANSACTIONS * settings.transaction_timeout_s

    async def send(self, letters: list[tuple[Letter, Outgoing]]) -> None:
        """Send letters.

        Raises:
            Fenced: If another replay took over.
            Unavailable: If Kafka did not take them, or did not say whether it has.
        """
        changed = self._replayed.after(letter for letter, _ in letters)
        messages = [message for _, message in letters]
        messages += [outgoing(self._topic, 0, key=key, value=value, headers=[]) for key, value in changed.records()]
        try:
            await self._transact(messages)
        except Exception as error:
            if is_fenced(self._producer, error):
                raise Fenced("another replay took over, or Kafka was away too long") from error
            if isinstance(error, (*BROKEN, TimeoutError)):
                raise Unavailable(f"Kafka did not confirm what was sent ({type(error).__name__})") from error
            raise
        self._replayed.update(changed)

    async def _transact(self, messages: list[Outgoing]) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._producer.begin_transaction()
                batches = pack(messages, self._producer.create_batch, counts=self._counts, limit=self._limits)
                for batch in (batch for queue in batches for batch in queue):
                    await (await self._producer.send_batch(batch.builder, batch.topic, partition=batch.partition))
                await self._producer.commit_transaction()
        except BaseException:  # also when we are told to stop: what is open holds back the readers
            # NOTE: not aiokafka's context manager, which waits for its abort as long as Kafka is away.
            if not is_fatal(self._producer):
                await abort(self._producer)
            raise


async def replay(
    client: Client,
    selection: Selection,
    *,
    most_attempts: int = MOST_ATTEMPTS,
    advanced: Advanced = lambda _done, _total: None,
    report: Report | None = None,
) -> Report:
    """Send the chosen letters back that were not sent before.

    Args:
        client: Where.
        selection: Which letters.
        most_attempts: Leave out what was sent back this often and failed again.
        advanced: Hears how many of how many offsets were read.
        report: What is returned; it says how far this got, also when this is cancelled.

    Raises:
        LexstreamError: If it ended early, with how far it got; what was sent is not sent again.
        KafkaError: If Kafka refuses it transactions.
    """
    settings = client.settings
    await create_replays(settings)
    async with _producer(settings) as producer:  # from now on no other replay sends anything
        replayed, targets = await read_replayed(client), await read_targets(settings)
        sender = TransactionSender(producer, replayed=replayed, targets=targets, settings=settings)
        run = _Run(
            selection, replayed=replayed, targets=targets, most_attempts=most_attempts, sender=sender, report=report
        )
        return await run.over(client, advanced)


async def dry_run(
    client: Client,
    selection: Selection,
    *,
    most_attempts: int = MOST_ATTEMPTS,
    advanced: Advanced = lambda _done, _total: None,
) -> Report:
    """Return what ``replay`` would do with the same arguments."""
    replayed, targets = await look_up_replayed(client), await read_targets(client.settings)
    run = _Run(selection, replayed=replayed, targets=targets, most_attempts=most_attempts, sender=NoSender())
    return await run.over(client, advanced)


async def read_targets(settings: Settings) -> Targets:
    """Return the topics that letters may go back to: all but those of our own that are no inputs."""
    ours = f"{settings.namespace}."
    inputs = {lane.input for lane in settings.all_lanes}
    there = {
        topic: len(kept)
        for topic, kept in (await existing_topics(settings)).items()
        if topic in inputs or not topic.startswith((ours, "__"))
    }
    limits = Limits(settings.max_message_bytes * 5 // 2)
    await read_limits(limits, there, client_options(settings))
    return Targets(there, limits, ours)


@contextlib.asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **client_options(settings),
        transactional_id=f"{settings.namespace}-replay",
        # A replay that was killed hides from the workers what was published behind its open transaction.
        transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
        linger_ms=0,
        max_batch_size=BUILDER_BYTES,
    )
    try:
        await _start(producer, patience_of(settings))
        yield producer
    finally:
        await hang_up_producer(producer, within_s=_STOP_S)


async def _start(producer: AIOKafkaProducer, patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):  # by itself it asks without end for a node that coordinates
            await producer.start()
    except TimeoutError as error:
        raise Unavailable(
            f"Kafka gave the replay no transactions for {patience_s:.0f} s, so it sent nothing; check that its brokers "
            "run"
        ) from error


class _Run:
    """One pass over the letters."""

    def __init__(
        self,
        selection: Selection,
        *,
        replayed: Replayed,
        targets: Targets,
        most_attempts: int,
        sender: Sender,
        report: Report | None = None,
    ) -> None:
        self._selection = selection
        self._before = replayed.copy()
        self._targets = targets
        self._most_attempts = most_attempts
        self._sender = sender
        self._waiting: list[tuple[Letter, Outgoing]] = []
        self._n_bytes = 0
        self._report = report or Report()

    async def over(self, client: Client, advanced: Advanced) -> Report:
        """Send the letters that are there now."""
        try:
            since_ms = self._selection.since_ms
            async with letters_of(client, since_ms=since_ms, whole=CHUNK, advanced=advanced) as batches:
                async for batch in batches:
                    for letter, message in self._chosen(batch):
                        await self._take(letter, message)
            await self._flush()
        except Fenced as error:
            raise Fenced(self._so_far(error)) from error
        except (Unavailable, KafkaError) as error:
            raise Unavailable(self._so_far(error)) from error
        return self._report

    def _so_far(self, error: Exception) -> str:
        return f"{error}; {self._report.so_far}"

    def _chosen(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outgoing]]:
        for letter in letters:
            # Each letter, chosen or not: once a newer one of its chunk is sent, it would pass for one that was sent.
            if self._before.stale(letter):
                raise LexstreamError(
                    f"what is known of {letter.place} is older than the letter: the topic was made anew; delete the "
                    f"topic of the replays, too ({self._report.n_letters:,} letters were sent back before)"
                )
            if letter not in self._selection or letter in self._before:
                continue
            message = message_of(letter)
            if refusal := self._targets.refusal(letter, message, most_attempts=self._most_attempts):
                self._report.refused[refusal] += 1
            else:
                yield letter, message

    async def _take(self, letter: Letter, message: Outgoing) -> None:
        full = len(self._waiting) >= _TRANSACTION_LETTERS or self._n_bytes + message.n_bytes > _TRANSACTION_BYTES
        if self._waiting and full:
            await self._flush()
        self._waiting.append((letter, message))
        self._n_bytes += message.n_bytes

    async def _flush(self) -> None:
        if self._waiting:
            await self._sender.send(self._waiting)
            self._report.note(letter for letter, _ in self._waiting)
            self._waiting, self._n_bytes = [], 0


def message_of(letter: Letter) -> Outgoing:
    """Return the event as it was, for the partition it came from, with headers that say that it comes again."""
    record, facts = letter.record, letter.facts
    headers = replay_headers(record.headers, letter=letter.place)
    return outgoing(facts.topic, facts.partition, key=record.key, value=record.value, headers=headers)
