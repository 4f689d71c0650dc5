"""Latency of the interactive lane while the bulk lane is idle, saturated, and reading a document of megabytes.

    python -m benchmarks.lanes

One worker, one short request every 100 ms. What a request waits for at most is the forward pass that has begun.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.console import Console
from rich.table import Table

from agents.bench.broker import open_broker
from agents.bench.child import Child
from agents.bench.documents import BenchDocument, mixed, tickets
from agents.bench.stats import percentile
from agents.bench.traffic import PARTITIONS, BenchTopics
from agents.interrupts import terminated_like_interrupted
from agents.kafka import client_options
from agents.settings import Settings, load_settings
from benchmarks.scaling import prepared
from schemas.errors import LexstreamError
from schemas.topics import Topics

EVERY_S = 0.1
POLL_MS = 200
PATIENCE_S = 60.0
LONG_S = 1800.0
"""For a document of megabytes."""
CONSOLE = Console(stderr=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=150, help="in each of the three situations")
    parser.add_argument("--bulk", type=int, default=6000, help="documents that saturate the bulk lane")
    parser.add_argument("--megabytes", type=float, default=3.0, help="of the long document")
    return parser.parse_args()


def event(number: int, text: str) -> dict[str, bytes]:
    """Return key and value of a document event."""
    key = str(number)
    return {"key": key.encode(), "value": orjson.dumps({"id": key, "text": text})}


class Reader(Protocol):
    """Reads what comes out of a lane."""

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return what came, perhaps nothing."""


async def answers(
    reader: Reader, count: int, *, check: Callable[[], None], patience_s: float = PATIENCE_S
) -> AsyncIterator[Any]:
    """Give as many answers, as they come.

    Args:
        reader: Of a lane.
        count: How many.
        check: Raises when no more can come.
        patience_s: For how long none may come.

    Raises:
        LexstreamError: None came for too long.
    """
    last = time.monotonic()
    while count > 0:
        for record in [each for records in (await reader.getmany(timeout_ms=POLL_MS)).values() for each in records]:
            count, last = count - 1, time.monotonic()
            yield record
        if count > 0:
            check()
            if time.monotonic() - last > patience_s:
                raise LexstreamError(
                    f"{count} answers are missing, and none came for {patience_s:.0f} s; look into the dead letters"
                )


async def latencies(
    topics: Topics, producer: AIOKafkaProducer, reader: Reader, texts: Sequence[str], *, check: Callable[[], None]
) -> list[float]:
    """Ask about one text after another, on time whether or not the last was answered; return seconds to each answer."""
    due = {str(at): time.perf_counter() + at * EVERY_S for at in range(len(texts))}

    async def ask() -> None:
        for at, text in enumerate(texts):
            await asyncio.sleep(max(0.0, due[str(at)] - time.perf_counter()))
            await producer.send_and_wait(topics.requests, partition=at % PARTITIONS, **event(at, text))

    asking = asyncio.create_task(ask())

    def both() -> None:
        check()
        if asking.done():
            asking.result()

    try:
        came = answers(reader, len(texts), check=both)
        return [time.perf_counter() - due[record.key.decode()] async for record in came]
    finally:
        asking.cancel()


async def fill(topics: Topics, producer: AIOKafkaProducer, documents: Sequence[BenchDocument]) -> None:
    """Send documents into the bulk lane."""
    sent = [
        await producer.send(topics.documents, partition=at % PARTITIONS, **event(at, document.text))
        for at, document in enumerate(documents)
    ]
    await asyncio.gather(*sent)


def outputs(settings: Settings, topic: str) -> AIOKafkaConsumer:
    """Return what reads a lane's answers from the first on."""
    reader = AIOKafkaConsumer(
        **client_options(settings), isolation_level="read_committed", auto_offset_reset="earliest"
    )
    reader.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    return reader


async def situations(
    settings: Settings, options: argparse.Namespace, *, check: Callable[[], None]
) -> dict[str, list[float]]:
    """Return the latencies in each situation."""
    topics, texts = settings.topics, [document.text for document in tickets(options.requests, seed=1)]
    long = "The tenant pays 900 pounds each month and keeps a cat. " * int(options.megabytes * 2**20 / 55)
    reader, of_bulk = outputs(settings, topics.replies), outputs(settings, topics.enriched)
    large = AIOKafkaProducer(**client_options(settings), max_request_size=20_000_000)
    small = AIOKafkaProducer(**client_options(settings), linger_ms=2)
    async with small as producer, reader as consumer, large as patient, of_bulk as bulk:
        measured, found = partial(latencies, topics, producer, consumer, check=check), {}
        await measured(texts[:50])
        CONSOLE.print("bulk lane idle")
        found["idle"] = await measured(texts)
        CONSOLE.print(f"bulk lane reads a document of {options.megabytes:g} MB")
        await patient.send_and_wait(topics.documents, partition=0, **event(0, long))
        found[f"a document of {options.megabytes:g} MB"] = await measured(texts)
        CONSOLE.print("until the long document is answered")
        async for _ in answers(bulk, 1, check=check, patience_s=LONG_S):
            pass
        CONSOLE.print("bulk lane saturated")
        await fill(topics, producer, mixed(options.bulk, seed=1))
        found["saturated"] = await measured(texts)
    return found


def show(found: dict[str, list[float]]) -> None:
    """Print a table."""
    table = Table(title="A short request of the interactive lane, ms")
    for column in ("bulk lane", "p50", "p99", "most"):
        table.add_column(column, justify="left" if column == "bulk lane" else "right")
    for name, seconds in found.items():
        figures = [percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds)]
        table.add_row(name, *[f"{1000 * figure:.0f}" for figure in figures])
    Console().print(table)


async def measure(options: argparse.Namespace) -> None:
    """Prepare a model and a broker, and measure."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given = await stack.enter_async_context(open_broker(load_settings(), folder / "kafka"))
        name = f"lexstream-lanes-{secrets.token_hex(4)}"
        told = {
            "brokers": given.brokers, "namespace": name, "group": name, "default_tasks": ["bench/production"],
        }  # fmt: skip
        settings = Settings.model_validate(told)
        topics = BenchTopics([settings])
        stack.push_async_callback(topics.delete)
        await topics.create()
        child = await Child.start(replace(await prepared(folder), settings=told), log=folder / "worker.log")
        stack.push_async_callback(child.stop)
        show(await situations(settings, options, check=child.check))


if __name__ == "__main__":
    options = parse()
    with terminated_like_interrupted():
        asyncio.run(measure(options))
