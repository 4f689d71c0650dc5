"""Transactions: two producers that take turns for one input partition, and what becomes visible with one commit."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from agents.fencing import BROKEN, is_fenced
from agents.hanging_up import ended, hang_up_producer
from agents.hotloop.answers import Outgoing
from schemas.errors import Fenced

BATCH_BYTES = 512 * 1024
"""Half of what a topic takes by default, since Kafka applies its limit to whole batches."""
BUILDER_BYTES = 2 * BATCH_BYTES
"""What the client's own batches hold: more than we ever put into one that has several messages."""
_STOP_S = 2.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class Producer(Protocol):
    """What of aiokafka's producer is used."""

    async def start(self) -> None:
        """Connect, and take the transactional id."""

    async def stop(self) -> None:
        """Disconnect."""

    async def begin_transaction(self) -> None:
        """Begin."""

    async def commit_transaction(self) -> None:
        """Make everything visible."""

    async def abort_transaction(self) -> None:
        """Make nothing visible."""

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, int], group_id: str) -> None:
        """Consume."""

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the partitions of a topic."""

    def create_batch(self) -> Any:
        """Return an empty batch."""

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Hand over a batch."""


class Turns:
    """Two producers; a partition's transactions take one and then the other.

    The broker writes a transaction's markers after it answered the commit; the same producer would have to wait for
    that before it could begin the next.
    """

    def __init__(self, producers: Sequence[Producer]) -> None:
        self._producers = list(producers)

    async def start(self) -> None:
        """Initialise both: whoever used their ids before is fenced, and what they left open is aborted."""
        starting = [asyncio.create_task(producer.start()) for producer in self._producers]
        try:
            await asyncio.wait(starting)
        except asyncio.CancelledError:
            # NOTE: a client whose start is cancelled may leave a connection open; one that goes on to start after
            # ``stop`` takes the id from whoever has it then.
            await ended(*starting, within_s=_STOP_S)
            raise
        for result in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def next(self) -> Producer:
        """Return the one whose turn it is."""
        self._producers.reverse()
        return self._producers[0]

    async def stop(self) -> None:
        """Stop both, but wait only a moment: the next owner's initialisation ends what is left open."""
        await asyncio.gather(*(hang_up_producer(producer, within_s=_STOP_S) for producer in self._producers))


class TooLarge(KafkaError):  # type: ignore[misc] # aiokafka has no types
    """A topic refused a batch for its size."""

    def __init__(self, batch: "Batch") -> None:
        super().__init__(f"{batch.topic} refused a batch of {batch.n_bytes} bytes")
        self.batch = batch


@dataclass(slots=True)
class Batch:
    """Messages for one partition of a topic, and how much they are."""

    topic: str
    partition: int
    builder: Any
    n_bytes: int = 0
    largest: int = 0

    def add(self, message: Outgoing) -> None:
        """Append a message."""
        added = self.builder.append(timestamp=None, key=message.key, value=message.value, headers=message.headers)
        if added is None:
            raise AssertionError(f"a batch of {self.n_bytes} bytes did not take a message of {message.n_bytes} bytes")
        self.n_bytes += message.n_bytes
        self.largest = max(self.largest, message.n_bytes)


async def commit(
    producer: Producer,
    messages: Iterable[Outgoing],
    *,
    offset: tuple[TopicPartition, int],
    group: str,
    limit: Callable[[str], int],
) -> None:
    """Make ``messages`` and the consumed offset visible at once.

    Raises:
        Fenced: If the partition has another owner, or the producer can never be used again.
        TooLarge: If a topic refused a batch for its size; the transaction was aborted.
        KafkaError: If something else failed; the transaction was aborted.
    """
    partition, next_offset = offset
    try:
        await producer.begin_transaction()
        batches = pack(messages, producer.create_batch, counts=await _counts(producer, messages), limit=limit)
        await asyncio.gather(*(_deliver(producer, queue) for queue in batches))
        await producer.send_offsets_to_transaction({partition: next_offset}, group)
        await producer.commit_transaction()
    except Exception as error:
        if is_fenced(producer, error):
            why = "another worker took over, its transaction timed out, or Kafka ended it"
            raise Fenced(f"no more transactions of {partition}: {why}: {error!r}") from error
        if not isinstance(error, BROKEN):
            raise
        await abort(producer)
        if isinstance(error, KafkaError):
            raise
        raise KafkaError(f"a transaction of {partition} broke before its end: {error!r}") from error


def pack(
    messages: Iterable[Outgoing],
    new: Callable[[], Any],
    *,
    counts: dict[str, int],
    limit: Callable[[str], int],
) -> list[list[Batch]]:
    """Return the messages in as few batches as fit: a list for each topic and partition, in order.

    Args:
        messages: What to send.
        new: Makes an empty batch.
        counts: How many partitions each topic has.
        limit: Gives the largest batch that a topic takes, in bytes.
    """
    packed: dict[tuple[str, int], list[Batch]] = {}
    for message in messages:
        topic, partition = message.topic, message.partition % counts[message.topic]
        batches = packed.setdefault((topic, partition), [])
        if not batches or batches[-1].n_bytes + message.n_bytes > min(BATCH_BYTES, limit(topic)):
            batches.append(Batch(topic, partition, new()))
        batches[-1].add(message)
    return list(packed.values())


async def _counts(producer: Producer, messages: Iterable[Outgoing]) -> dict[str, int]:
    topics = dict.fromkeys(message.topic for message in messages)
    return {topic: len(await producer.partitions_for(topic)) for topic in topics}


async def _deliver(producer: Producer, batches: Iterable[Batch]) -> None:
    """Send batches of one partition, each after the one before was written."""
    for batch in batches:
        try:
            await (await producer.send_batch(batch.builder, batch.topic, partition=batch.partition))
        except _TOO_LARGE as error:
            raise TooLarge(batch) from error


async def abort(producer: Producer) -> None:
    """Abort the transaction of ``producer`` if Kafka does so within a moment; otherwise Kafka does by itself, later."""
    with contextlib.suppress(KafkaError, AssertionError, TimeoutError):
        await asyncio.wait_for(producer.abort_transaction(), _STOP_S)
