"""A Kafka that lets its clients do only so much in a second: the worker gets slower, and that is all."""

import asyncio
import time
from collections import Counter

import pytest
from confluent_kafka import Message

from agents.settings import Settings
from tests.agents.echo import POISON
from tests.agents.quotas import throttled
from tests.agents.test_hotloop_broker import PARTITIONS, by_partition, event, publish, read, running, settings

__all__ = ["settings"]
pytestmark = [pytest.mark.broker, pytest.mark.slow]

N = 240
BYTES_PER_S = 40_000
PERCENT = 5
FLOOR_S = 6
"""What is left of 240 times 3 kB after the first ten seconds of the quota takes longer than this on any machine."""
WINDOW = 8
PAD = "x" * 2500
TEXT = "Ann of Rome"


def documents(first: int) -> list[tuple[bytes, bytes, int]]:
    """Events of which each tenth becomes a dead letter."""
    return [
        (b"%d" % n, event(n, text=POISON if n % 10 == 0 else TEXT, metadata={"pad": PAD}), n % PARTITIONS)
        for n in range(first, first + N)
    ]


def outputs(settings: Settings, count: int) -> tuple[list[Message], float]:
    """Let a worker answer what waits until there are ``count`` outputs; return them, and its seconds."""
    started = time.monotonic()
    with running(settings.model_copy(update={"window_documents": WINDOW})) as loop:
        found = read(settings, settings.topics.enriched, settings.topics.dead_letters, count=count)
        print(f"{loop._metrics.aborts._value.get():.0f} transactions given up")
        return found, time.monotonic() - started


async def test_a_quota_makes_a_worker_slower_and_loses_and_doubles_nothing(settings: Settings) -> None:
    publish(settings, settings.topics.documents, documents(0))
    _, free_s = await asyncio.to_thread(outputs, settings, N)
    publish(settings, settings.topics.documents, documents(N))
    async with throttled(settings.brokers, producer_byte_rate=BYTES_PER_S, request_percentage=PERCENT):
        found, throttled_s = await asyncio.to_thread(outputs, settings, 2 * N)
    print(f"{N} events: {free_s:.1f} s, and {throttled_s:.1f} s with the quota")
    assert Counter(message.key() for message in found) == dict.fromkeys((b"%d" % n for n in range(2 * N)), 1)
    for topic in (settings.topics.enriched, settings.topics.dead_letters):
        offsets = by_partition([m for m in found if m.topic() == topic], lambda message: int(message.key() or b""))
        assert all(keys == sorted(keys) for keys in offsets.values())  # type: ignore[type-var]
    assert throttled_s > max(free_s, FLOOR_S)
