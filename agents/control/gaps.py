"""Commands that nobody handled: what of the control topic lies between the group's offset and a command at hand.

Faust drops a message that it fetched just before a rebalance, even where the partition stays with this process.
"""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents.kafka import client_options
from agents.settings import Settings


async def committed_offset(settings: Settings, group: str, partition: TopicPartition) -> int | None:
    """Return the offset from which ``group`` goes on, or nothing if it never committed one.

    Raises:
        KafkaError: If Kafka does not answer.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group, partitions=[partition])
    finally:
        await admin.close()
    place = found.get(partition)
    return None if place is None or place.offset < 0 else int(place.offset)


async def read_between(
    settings: Settings, partition: TopicPartition, *, start: int | None, end: int
) -> list[tuple[int, bytes | None]]:
    """Return offsets and values from ``start`` (by default the first that is there) up to, but without, ``end``.

    Raises:
        KafkaError: If Kafka does not answer.
    """
    if start is not None and start >= end:
        return []
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    found: list[tuple[int, bytes | None]] = []
    try:
        consumer.assign([partition])
        first = (await consumer.beginning_offsets([partition]))[partition]
        last = min(end, (await consumer.end_offsets([partition]))[partition])
        consumer.seek(partition, max(first, start or 0))
        while await consumer.position(partition) < last:
            messages = (await consumer.getmany(partition, timeout_ms=200)).get(partition, [])
            found += [(message.offset, message.value) for message in messages if message.offset < last]
    finally:
        await consumer.stop()
    return found
