"""A hot loop whose model, tables and commits answer when they are told to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from agents.hotloop.answers import Asked
from agents.hotloop.asking import Asking
from agents.hotloop.loop import HotLoop, Parts
from agents.hotloop.partitions import Partition, Partitions, Share
from agents.hotloop.status import LoopStatus
from agents.hotloop.transactions import Turns
from agents.hotloop.window import Bounds
from agents.inference import Answer, Request, Urgency
from agents.lanes import Lane, Priority
from agents.metrics import Metrics
from agents.serving import Key, ServingTable
from schemas.documents import DocumentEvent, Task
from tests.agents.echo import EchoEngine, served, table
from tests.agents.factories import item

BULK = Lane("n.documents", "n.enriched")
INTERACTIVE = Lane("n.requests", "n.replies", Priority.INTERACTIVE)
BOUNDS = Bounds(4, 400, enough=1.0)
LONG = BOUNDS.long + 1


class Patient(EchoEngine):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Urgency, list[str], Future[list[Answer]]]] = []

    def submit(self, requests: Sequence[Request], urgency: Urgency) -> "Future[list[Answer]]":
        future: Future[list[Answer]] = Future()
        self.asked.append((urgency, [request.text for request in requests], future))
        return future

    @property
    def texts(self) -> list[list[str]]:
        return [texts for _, texts, _ in self.asked]

    async def answer(self, at: int) -> None:
        future = self.asked[at][2]
        future.set_result([[{"entities": []}] for _ in self.asked[at][1]])
        await settled()


class Tables:
    """Deployments appear when they are told to."""

    def __init__(self, present: ServingTable) -> None:
        self.present = present
        self.asked: list[set[Key]] = []
        self.appears = asyncio.Event()

    def table(self) -> ServingTable:
        return self.present

    async def settle(self, keys: set[Key]) -> None:
        self.asked.append(keys)
        await self.appears.wait()

    def used(self, keys: Collection[Key]) -> None:
        """Nobody counts."""


class Commits:
    """Notes what is committed; done when told to."""

    def __init__(self) -> None:
        self.texts: list[list[str]] = []
        self.done = asyncio.Event()
        self.done.set()

    def start(self, share: Share, asked: Sequence[Asked], _routes: object) -> "asyncio.Task[None]":
        self.texts.append([text_of(one) for one in asked] if not share.stale else ["stale"])
        return asyncio.create_task(self._end(share))

    async def _end(self, share: Share) -> None:
        await self.done.wait()
        share.partition.in_flight -= len(share.items)


class Still:
    """A reader that reads nothing."""

    def on_arrival(self, call: Any) -> None:
        self.arrived = call

    def rest_while(self, busy: Callable[[], bool]) -> None:
        self.busy = busy

    async def run(self) -> None:
        await asyncio.Event().wait()


class Nothing:
    assigned = frozenset[TopicPartition]()

    async def close(self) -> None:
        """Nothing is ours."""

    async def stop(self) -> None:
        """Nothing runs."""


def text_of(asked: Asked) -> str:
    return asked.item.content.text if isinstance(asked.item.content, DocumentEvent) else "error"


class Scene:
    def __init__(self) -> None:
        self.engine = Patient()
        self.tables = Tables(table(served()))
        self.commits = Commits()
        self.partitions = Partitions()
        self.reader = Still()
        self.arrivals = 0
        self.offsets: dict[Partition, int] = {}

    def own(self, lane: Lane = BULK, number: int = 0) -> Partition:
        tp = TopicPartition(lane.input, number)
        partition = Partition(tp, lane, Turns([]), self.partitions.next_epoch(), 0, 0)
        self.partitions.add(partition)
        return partition

    async def arrive(self, partition: Partition, *texts: str, n_tokens: int = 10, deployment: str = "") -> None:
        tasks = [Task(project="loans", deployment=deployment)] if deployment else []
        for text in texts:
            self.arrivals += 1
            event = DocumentEvent(id=text, text=text, tasks=tasks)
            one = item(event, topic=partition.tp.topic, partition=partition.tp.partition)
            partition.put([one._replace(n_tokens=n_tokens, arrival=self.arrivals)])
        self.reader.arrived()
        await settled()


@asynccontextmanager
async def scene(bounds: Bounds = BOUNDS) -> AsyncIterator[Scene]:
    here, stop, metrics = Scene(), asyncio.Event(), Metrics()
    asking = Asking(
        here.tables,
        default_tasks={lane.input: [Task(project="loans", deployment="production")] for lane in (BULK, INTERACTIVE)},
        engine=here.engine,
        metrics=metrics,
    )
    nothing: Any = Nothing()
    reader: Any = here.reader
    committer: Any = here.commits
    parts = Parts(nothing, here.partitions, nothing, reader, asking, committer)
    loop = HotLoop(parts, bounds=bounds, status=LoopStatus(), metrics=metrics)
    running = asyncio.create_task(loop.run(stop, crashed=asyncio.get_running_loop().create_future()))
    await settled()
    try:
        yield here
    finally:
        stop.set()
        for _, texts, future in here.engine.asked:
            if not future.done():
                future.set_result([[{"entities": []}] for _ in texts])
        here.commits.done.set()
        await asyncio.wait_for(running, 10)
        await loop.close()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
