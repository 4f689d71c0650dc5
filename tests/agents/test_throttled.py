"""A Kafka that lets its clients do only so much in a second: the worker gets slower, and that is all."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
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
WINDOW = 8
PAD = "x" * 2500
TEXT = "Ann of Rome"


def documents(first: int) -> list[tuple[bytes, bytes, int]]:
    """Events of which each tenth becomes a dead letter."""
    return [
        (b"%d" % n, event(n, text=POISON if n % 10 == 0 else TEXT, metadata={"pad": PAD}), n % PARTITIONS)
        for n in range(first, first + N)
    ]


@pytest.fixture
def waits_ms(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For how long Kafka will not listen, as each answer to a client of ours says."""
    said: list[int] = []
    send = AIOKafkaConnection.send

    async def heard(sending: Awaitable[Any]) -> Any:
        answer = await sending
        said.append(getattr(answer, "throttle_time_ms", 0))
        return answer

    monkeypatch.setattr(AIOKafkaConnection, "send", lambda *given, **named: heard(send(*given, **named)))
    return said


def outputs(settings: Settings, count: int) -> tuple[list[Message], float]:
    """Let a worker answer what waits until there are ``count`` outputs; return them, and its seconds."""
    started = time.monotonic()
    with running(settings.model_copy(update={"window_documents": WINDOW})) as loop:
        found = read(settings, settings.topics.enriched, settings.topics.dead_letters, count=count, timeout_s=90)
        print(f"{loop._metrics.aborts._value.get():.0f} transactions given up")
        return found, time.monotonic() - started


async def test_a_quota_makes_a_worker_wait_and_loses_and_doubles_nothing(
    settings: Settings, waits_ms: list[int]
) -> None:
    publish(settings, settings.topics.documents, documents(0))
    _, free_s = await asyncio.to_thread(outputs, settings, N)
    assert max(waits_ms) == 0
    publish(settings, settings.topics.documents, documents(N))
    async with throttled(settings.brokers, producer_byte_rate=BYTES_PER_S, request_percentage=PERCENT):
        found, throttled_s = await asyncio.to_thread(outputs, settings, 2 * N)
    print(f"{N} events: {free_s:.1f} s, and {throttled_s:.1f} s with the quota")
    assert Counter(message.key() for message in found) == dict.fromkeys((b"%d" % n for n in range(2 * N)), 1)
    for topic in (settings.topics.enriched, settings.topics.dead_letters):
        offsets = by_partition([m for m in found if m.topic() == topic], lambda message: int(message.key() or b""))
        assert all(keys == sorted(keys) for keys in offsets.values())  # type: ignore[type-var]
    assert max(waits_ms) > 0, "the quota was for nothing"
