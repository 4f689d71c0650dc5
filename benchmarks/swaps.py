"""Latency of short tickets while models are swapped under load, on a Kafka of its own.

    python -m benchmarks.swaps

Two models of the same kind, each with an encoder of its own, so that a swap loads all of a model while the other
serves. Tickets come at a share of the worker's own speed; every few seconds the other model is deployed. A ticket
counts as *beside a swap* if it came between the command and a second after the new model served.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.bench.documents import tickets
from agents.bench.stats import percentile
from agents.bench.traffic import PARTITIONS, Line, Passage
from agents.broker import LocalBroker
from agents.broker.address import free_port
from agents.interrupts import terminated_like_interrupted
from agents.prove.broker import alone
from agents.settings import Settings, load_settings, on_own_kafka
from agents.topics import create_topics
from benchmarks.soak.deploying import TASK, deployed, register
from benchmarks.soak.models import prepared
from benchmarks.soak.swaps import Swap
from benchmarks.soak.worker import Worker
from schemas.errors import LexstreamError

CONSOLE = Console(stderr=True)
_WARM_S = 15.0
_AFTER_S = 1.0
_N_FAST = 2_000
_LEAST_SWAPS = 2


@dataclass(frozen=True)
class Beside:
    """A swap, and when it was: from the command until a second after the new model served."""

    swap: Swap
    began: float
    ended: float

    def holds(self, at: float) -> bool:
        """Tell whether it was going on."""
        return self.began <= at <= self.ended


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=float, default=0.5, help="share of the worker's own speed")
    parser.add_argument("--swaps", type=int, default=8, help="at least 2: the first loads a model, the others are warm")
    parser.add_argument("--every", type=float, default=6.0, help="seconds from one swap to the next")
    options = parser.parse_args()
    if options.swaps < _LEAST_SWAPS or not 0 < options.load < 1 or options.every <= 0:
        parser.error(f"expected --swaps of at least {_LEAST_SWAPS}, --load between 0 and 1, --every above 0")
    return options


@asynccontextmanager
async def serving(brokers: str, folder: Path) -> AsyncIterator[tuple[Settings, Line, Sequence[str]]]:
    """Start a worker that serves the first model; give its settings, its topics' ends, and the models' labels."""
    CONSOLE.print("making the models, and finding out how they run best here: about a minute")
    models = prepared((folder / "store").as_uri(), folder / "transformers")
    labels = list(models.digests)
    settings = own_settings(brokers, folder)
    await create_topics(settings, PARTITIONS)
    await register(settings, models.digests)
    with ExitStack() as stack:
        worker = Worker(settings, folder / "worker.log")
        stack.callback(worker.kill)

        def check() -> None:
            if worker.ended:
                raise LexstreamError(worker.problem)

        line = Line(settings, check=check)
        stack.callback(line.close)
        try:
            line.open()
            await swapped(settings, labels[0])
            yield settings, line, labels
        except LexstreamError:
            check()  # then all else comes of that
            raise


def own_settings(brokers: str, folder: Path) -> Settings:
    """Return settings for the Kafka of this run, whatever the environment says of another one."""
    ours = {"store": (folder / "store").as_uri(), "default_tasks": [TASK], "home": folder}
    return alone(load_settings(), "lexstream-swaps", **on_own_kafka(brokers) | ours)


async def swapped(settings: Settings, label: str) -> Beside:
    """Deploy a model, and return when it was served."""
    began = time.perf_counter()
    swap = await deployed(settings, label, now_s=time.perf_counter)
    if swap.problem:
        raise LexstreamError(f"{label} is not served: {swap.problem}")
    return Beside(swap, began, time.perf_counter() + _AFTER_S)


async def under_load(
    settings: Settings, line: Line, labels: Sequence[str], options: argparse.Namespace
) -> tuple[float, Passage, list[Beside]]:
    """Return the rate, what came out, and the swaps."""
    for number in range(3):
        fast = await line.run(tickets(_N_FAST, seed=number), tag=f"fast-{number}")
    rate = options.load * _N_FAST / fast.seconds
    seconds = _WARM_S + options.every * (options.swaps + 1)
    passing = asyncio.create_task(line.run(tickets(int(rate * seconds), seed=9), tag="load", per_s=rate))
    try:
        await asyncio.sleep(_WARM_S)
        swaps = []
        for number in track(range(1, options.swaps + 1), "swaps", console=CONSOLE):
            swaps.append(await swapped(settings, labels[number % 2]))
            await asyncio.sleep(max(0.0, options.every - (swaps[-1].swap.seconds or 0.0)))
        return rate, await passing, swaps
    finally:
        passing.cancel()
        await asyncio.wait([passing])  # its thread polls what is closed next


def show(rate: float, passage: Passage, swaps: Sequence[Beside]) -> None:
    """Print a table."""
    waited = [
        (passage.due[arrival.document], arrival.at - passage.due[arrival.document]) for arrival in passage.arrivals
    ]
    counted = [(due, seconds) for due, seconds in waited if due > passage.started + _WARM_S]
    beside = [seconds for due, seconds in counted if any(swap.holds(due) for swap in swaps)]
    quiet = [seconds for due, seconds in counted if not any(swap.holds(due) for swap in swaps)]
    table = Table(title=f"Short tickets at {rate:.0f} a second, {len(swaps)} swaps, ms")
    for column in ("", "tickets", "p50", "p99", "most"):
        table.add_column(column, justify="right" if column else "left")
    for name, found in (("no swap", quiet), ("beside a swap", beside)):
        figures = [percentile(found, 0.5), percentile(found, 0.99), max(found)] if found else []
        table.add_row(name, f"{len(found):,}", *[f"{1000 * figure:.0f}" for figure in figures])
    Console().print(table)
    first, *warm = [each.swap.seconds or 0.0 for each in swaps]
    Console().print(
        f"lost {passage.lost}, too many {passage.extra}; deployed and serving after {first:.2f} s the first time, "
        f"{median(warm):.2f} s (at most {max(warm):.2f}) with the model warm"
    )


async def measure(options: argparse.Namespace) -> None:
    """Prepare a broker, models and a worker, and measure."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = LocalBroker(folder / "kafka", f"127.0.0.1:{free_port()}", cache=user_cache_path("lexstream") / "jars")
        stack.push_async_callback(asyncio.to_thread, broker.stop)
        brokers = (await asyncio.to_thread(broker.start)).address
        settings, line, labels = await stack.enter_async_context(serving(brokers, folder))
        show(*await under_load(settings, line, labels, options))


if __name__ == "__main__":
    options = parse()
    with terminated_like_interrupted():
        asyncio.run(measure(options))
