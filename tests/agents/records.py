"""Kafka records made by hand."""

from collections.abc import Sequence

from aiokafka import ConsumerRecord


def record(
    topic: str,
    *,
    value: bytes | None,
    key: bytes | None = b"key",
    partition: int = 0,
    offset: int = 0,
    headers: Sequence[tuple[str, bytes]] = (),
) -> ConsumerRecord:
    """A record as aiokafka gives it."""
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=tuple(headers),
    )
