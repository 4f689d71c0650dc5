"""Dead letters for tests: made by hand, written to a topic, and read back by a client that shares no code with ours."""

from collections.abc import Sequence
from dataclasses import replace

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from agents.letters import Letter
from schemas.dead_letters import DeadLetter, Headers, dead_letter_headers
from schemas.errors import DecodeError, EventError, InvalidEvent, TasksFailed
from tests.agents.records import record

TOPIC = "n.dead-letters"


def headers_of(
    error: EventError, offset: int, *, topic: str = "n.documents", partition: int = 1, original: Headers | None = None
) -> Headers:
    return dead_letter_headers(
        [("trace", b"t%d" % offset)] if original is None else original,
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=1_700_000_000_000,
        error=error,
    )


def letter(
    offset: int = 0,
    *,
    error: EventError | None = None,
    at_ms: int = 0,
    value: bytes | None = b"value",
    partition: int = 0,
    headers: Headers | None = None,
) -> Letter:
    """A letter at ``offset`` that came from the same offset of n.documents/1."""
    added = headers_of(error or DecodeError("no JSON"), offset) if headers is None else headers
    made = replace(record(TOPIC, value=value, partition=partition, offset=offset, headers=added), timestamp=at_ms)
    return Letter(made, DeadLetter.from_headers(added), len(value or b""))


LETTERS = [
    letter(0, at_ms=1000),
    letter(1, at_ms=2000, error=InvalidEvent("no text")),
    letter(2, at_ms=3000, error=TasksFailed("nobody")),
    letter(3, at_ms=4000, headers=headers_of(DecodeError("x"), 7, topic="orders", partition=3)),
]


def write(
    brokers: str,
    topic: str,
    letters: Sequence[tuple[bytes | None, bytes | None, Headers]],
    *,
    partition: int = 0,
) -> None:
    """Write keys, values and headers, and return when Kafka has them."""
    # Idempotent: what is sent again must not come behind what was sent after it.
    producer = Producer({"bootstrap.servers": brokers, "message.max.bytes": 20_000_000, "enable.idempotence": True})
    for key, value, headers in letters:
        while True:
            try:
                producer.produce(topic, value, key, headers=list(headers), partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(30) == 0


def read_committed(brokers: str, topic: str, partitions: int = 1) -> list[Message]:
    """Read all that is committed now, partition by partition."""
    options = {"bootstrap.servers": brokers, "group.id": "reader", "isolation.level": "read_committed"}
    consumer = Consumer({**options, "enable.partition.eof": True, "fetch.message.max.bytes": 20_000_000})
    found = []
    for number in range(partitions):
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
        while (message := consumer.poll(20)) is not None:
            if message.error() is not None:
                break  # the end
            found.append(message)
    consumer.close()
    return found
