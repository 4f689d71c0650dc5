"""Two workers over one, and what a document costs as they add up. Needs Linux with two processors.

    python benchmarks/scaling.py two-workers
    python benchmarks/scaling.py flat --documents 100000

``two-workers`` pins each worker to a processor of its own, and compares with one worker on one processor; broker and
publisher share the processors with them. Goal: at least 1.9. ``flat`` sends short tickets through one worker, and
prints processor time a document and resident memory as it goes. Goal: less than 1 % growth of memory.
"""

import argparse
import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.bench.broker import open_broker
from agents.bench.child import Child
from agents.bench.documents import BenchDocument, mixed, tickets
from agents.bench.subject import Spec
from agents.bench.traffic import BenchTopics, Line
from agents.interrupts import terminated_like_interrupted
from agents.settings import Settings, load_settings

CONSOLE = Console(stderr=True)
WARM = 200
TUNING_S = 20.0
STEPS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("two-workers", "flat"))
    parser.add_argument("--documents", type=int, help="default: 600 for two-workers, 100,000 for flat")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


async def prepared(folder: Path) -> Spec:
    """Train the model that is measured, find the best plan, and return what a worker is told."""
    spec = Spec("model", store=(folder / "store").as_uri(), folder=str(folder / "transformers"))
    child = await Child.start(spec, log=folder / "model.log")
    try:
        answer = await child.ask("plan", seconds=TUNING_S)
    finally:
        await child.stop()
    return replace(spec, kind="exactly-once", digest=answer["digest"], plan=answer["plan"])


@asynccontextmanager
async def line(brokers: str, spec: Spec, folder: Path, *, pins: Sequence[set[int]]) -> AsyncIterator[Line]:
    """Start a worker for each set of processors, all of one group, and give both ends of their topics."""
    name = f"lexstream-scaling-{secrets.token_hex(4)}"
    told = {"brokers": brokers, "namespace": name, "group": name, "default_tasks": ["bench/production"]}
    settings = Settings.model_validate(told)
    async with AsyncExitStack() as stack:
        topics = BenchTopics([settings])
        stack.push_async_callback(topics.delete)
        await topics.create()
        children = []
        for number, pin in enumerate(pins):
            child = await pinned(replace(spec, settings=told), folder / f"worker-{number}.log", pin)
            stack.push_async_callback(child.stop)
            children.append(child)

        def check() -> None:
            for child in children:
                child.check()

        made = Line(settings, check=check)
        made.open()
        stack.callback(made.close)
        yield made


async def pinned(spec: Spec, log: Path, pin: set[int]) -> Child:
    """Start a worker that may use these processors: a child has those of its parent."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, pin)
    try:
        return await Child.start(spec, log=log)
    finally:
        os.sched_setaffinity(0, before)


async def warm(made: Line, documents: Sequence[BenchDocument]) -> None:
    """Warm up until every partition has its owner."""
    for number in range(3):
        await made.run(documents, tag=f"warm-{number}")


async def two_workers(brokers: str, spec: Spec, folder: Path, options: argparse.Namespace) -> None:
    """Print the ratio."""
    first, second = sorted(os.sched_getaffinity(0))[:2]
    plan = spec.plan | {"streams": 1, "threads": 1}
    documents, some = mixed(options.documents or 600, seed=1), mixed(WARM, seed=2)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for number in track(range(options.rounds), "one worker and two in turns", console=CONSOLE):
        for count, pins in ((1, [{first}]), (2, [{first}, {second}])):
            async with line(brokers, replace(spec, plan=plan), folder, pins=pins) as made:
                await warm(made, some)
                passage = await made.run(documents, tag=f"round-{number}")
                speeds[count].append(len(documents) / passage.seconds)
    ratios = sorted(two / one for one, two in zip(speeds[1], speeds[2], strict=True))
    table = Table(title="Two workers, one processor each, over one worker on one processor")
    for column in ("one, docs/s", "two, docs/s", "ratio: median", "least", "most", "goal"):
        table.add_column(column, justify="right")
    cells = [f"{median(speeds[1]):.1f}", f"{median(speeds[2]):.1f}"]
    table.add_row(*cells, *[f"{value:.2f}" for value in (median(ratios), ratios[0], ratios[-1])], "≥ 1.90")
    Console().print(table)


async def flat(brokers: str, spec: Spec, folder: Path, options: argparse.Namespace) -> None:
    """Print what a document costs as they add up."""
    most = options.documents or 100_000
    some = tickets(1_000, seed=1)
    table = Table(title="One worker, short tickets")
    for column in ("documents so far", "docs/s", "CPU ms a document", "memory, MB"):
        table.add_column(column, justify="right")
    async with line(brokers, spec, folder, pins=[os.sched_getaffinity(0)]) as made:
        worker = next(each for each in psutil.Process().children() if "agents.bench.subject" in each.cmdline())
        await warm(made, some[:WARM])
        done = 0
        for step in [step for step in STEPS if step <= most]:
            cpu, seconds, count = sum(worker.cpu_times()[:2]), 0.0, step - done
            for number in track(range(count // len(some)), f"up to {step:,} documents", console=CONSOLE):
                seconds += (await made.run(some, tag=f"{step}-{number}")).seconds
            spent, done = sum(worker.cpu_times()[:2]) - cpu, step
            memory = worker.memory_info().rss / 2**20
            table.add_row(f"{done:,}", f"{count / seconds:.0f}", f"{1000 * spent / count:.2f}", f"{memory:.1f}")
    Console().print(table)


async def measure(options: argparse.Namespace) -> None:
    """Prepare a model and a broker, and measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_broker(load_settings(), folder / "kafka") as settings:
            work = two_workers if options.what == "two-workers" else flat
            await work(settings.brokers, await prepared(folder), folder, options)


if __name__ == "__main__":
    options = parse()
    with terminated_like_interrupted():
        asyncio.run(measure(options))
