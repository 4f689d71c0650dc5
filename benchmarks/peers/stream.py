"""The runner's side of Kafka: topics, documents in, answers out as a reader of committed records sees them."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.peers.subject import Message

PARTITIONS = 4
_AT_ONCE = 1000


@dataclass(frozen=True)
class Arrival:
    """An answer and when it could be read, on the clock of ``time.monotonic``."""

    message: Message
    at_s: float


class Stream:
    """The two topics of one measurement.

    Args:
        brokers: Bootstrap addresses.
        input: Made with four partitions, unless it is there.
        output: Likewise.
    """

    def __init__(self, brokers: str, *, input: str, output: str) -> None:  # noqa: A002
        _create(brokers, input, output)
        self._input = input
        self._producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5})
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"reader-{uuid.uuid4().hex[:8]}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        self._consumer.assign([TopicPartition(output, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def publish(self, messages: Iterable[tuple[Message, int]]) -> None:
        """Send messages to their partitions and return when the broker has them."""
        for message, partition in messages:
            self._producer.produce(
                self._input,
                key=message.key,
                value=message.value,
                headers=list(message.headers),
                partition=partition,
            )
            self._producer.poll(0)
        self._producer.flush()

    def read(self, timeout_s: float) -> list[Arrival]:
        """Return the answers that came meanwhile; waits for the first at most ``timeout_s``."""
        found = self._consumer.consume(1, timeout=timeout_s)
        found += self._consumer.consume(_AT_ONCE, timeout=0.01) if found else []
        at_s = time.monotonic()
        return [
            Arrival(Message(each.key() or b"", each.value() or b""), at_s) for each in found if each.error() is None
        ]


def _create(brokers: str, *names: str) -> None:
    """Make the topics that the subject did not make itself, with settings of its own."""
    admin = AdminClient({"bootstrap.servers": brokers})
    there = admin.list_topics(timeout=10).topics
    topics = [NewTopic(name, PARTITIONS, 1) for name in names if name not in there]
    if not topics:
        return
    for made in admin.create_topics(topics, operation_timeout=10).values():
        made.result(timeout=20)
