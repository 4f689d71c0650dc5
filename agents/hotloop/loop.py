"""The hot loop: read ahead, form a window, let the models read it, commit. Exactly once for read_committed readers."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from agents.hotloop.answers import Asked
from agents.hotloop.asking import Asking
from agents.hotloop.committer import Committer
from agents.hotloop.decode import Item
from agents.hotloop.ownership import Ownership
from agents.hotloop.partitions import Partitions, Share
from agents.hotloop.reader import Reader
from agents.hotloop.status import LoopStatus
from agents.hotloop.window import Bounds
from agents.metrics import Metrics
from agents.routing import Routes

MAX_UNCOMMITTED = 4
"""Windows that were read but are not committed: enough to never wait for a commit, few enough to bound memory."""
STOP_S = 2.5
"""How long a stop waits for the window in the model, and then for the transactions."""
_OBSERVE_S = 0.2


@dataclass(frozen=True, slots=True)
class Parts:
    """What a loop is made of."""

    consumer: Any
    partitions: Partitions
    ownership: Ownership
    reader: Reader
    asking: Asking
    committer: Committer
    arrived: asyncio.Event


class HotLoop:
    """Takes windows through the models.

    Args:
        parts: What does the work.
        bounds: Of a window.
        status: Signs of life.
        metrics: What is measured.
    """

    def __init__(self, parts: Parts, *, bounds: Bounds, status: LoopStatus, metrics: Metrics) -> None:
        self._parts = parts
        self._bounds = bounds
        self._status = status
        self._metrics = metrics
        self._uncommitted = asyncio.Semaphore(MAX_UNCOMMITTED)
        self._commits: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def run(self, stop: asyncio.Event, *, crashed: "asyncio.Future[None]") -> None:
        """Run until ``stop`` is set; then finish the window or drop it.

        Args:
            stop: Ends the loop in order.
            crashed: Ends it at once, with the error that it is given.
        """
        reader, windows, _ = self._tasks = [
            asyncio.create_task(each) for each in (self._parts.reader.run(), self._windows(), self._observe())
        ]
        stopped = asyncio.create_task(stop.wait())
        ends: set[asyncio.Future[Any]] = {stopped, crashed, *self._tasks}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for end in done - {stopped}:
            end.result()
        await _cancel(reader)
        await self._finish(windows)

    async def close(self) -> None:
        """Give everything up that is still ours."""
        for task in self._tasks:
            await _cancel(task)
        await self._parts.ownership.release_all()
        with contextlib.suppress(KafkaError, TimeoutError):  # nothing is lost: the group finds out by itself
            await asyncio.wait_for(self._parts.consumer.stop(), STOP_S)

    async def _finish(self, windows: "asyncio.Task[None]") -> None:
        self._stopping = True
        self._parts.arrived.set()
        await asyncio.wait([windows], timeout=STOP_S)
        await _cancel(windows)
        if self._commits:
            await asyncio.wait(self._commits, timeout=STOP_S)

    async def _windows(self) -> None:
        while not self._stopping:
            await self._parts.arrived.wait()
            await self._uncommitted.acquire()
            shares = [] if self._stopping else self._parts.partitions.take_window(self._bounds)
            if not shares:
                self._parts.arrived.clear()
                self._uncommitted.release()
                continue
            items = [item for share in shares for item in share.items]
            self._measure(items)
            asked, routes = await self._parts.asking.ask(items)
            self._commit(shares, asked, routes)

    def _commit(self, shares: Sequence[Share], asked: Sequence[Asked], routes: Routes) -> None:
        rest = iter(asked)
        window = [self._parts.committer.start(share, [next(rest) for _ in share.items], routes) for share in shares]
        for task in window:
            self._commits.add(task)
            task.add_done_callback(self._commits.discard)
        whole = asyncio.gather(*window, return_exceptions=True)
        whole.add_done_callback(lambda _: self._uncommitted.release())

    def _measure(self, items: Sequence[Item]) -> None:
        self._metrics.window_documents.observe(len(items))
        self._metrics.window_fill.observe(sum(item.n_tokens for item in items) / self._bounds.n_tokens)

    async def _observe(self) -> None:
        ownership, partitions = self._parts.ownership, self._parts.partitions
        while True:
            self._status.observe(
                n_waiting=partitions.n_waiting,
                n_partitions=len(partitions),
                has_assignment=ownership.assigned is not None,
            )
            self._metrics.commit_age.set(self._status.commit_age())
            await asyncio.sleep(_OBSERVE_S)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
