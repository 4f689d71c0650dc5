"""The hot loop: read ahead, form a window, let the models read it, commit. Exactly once for read_committed readers."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from agents.hanging_up import hang_up
from agents.hotloop.answers import Asked
from agents.hotloop.asking import Asking, Question
from agents.hotloop.committer import Committer
from agents.hotloop.decode import Item
from agents.hotloop.flow import Flow, Supply
from agents.hotloop.ownership import Ownership
from agents.hotloop.partitions import Partition, Partitions, Share
from agents.hotloop.reader import Reader
from agents.hotloop.status import REFUSED, LoopStatus
from agents.hotloop.window import Bounds
from agents.inference import Urgency
from agents.lanes import Priority
from agents.metrics import Metrics
from agents.routing import Routes

logger = logging.getLogger(__name__)

STOP_S = 2.5
"""How long a stop waits for the windows in the model, and then for the transactions."""
WINDOWS_IN_MODEL = 2
"""Of a lane: one is read, and the next is tokenised meanwhile."""
MOST_LONG = 3
"""Long documents of a lane that are read at the same time: few enough to bound their memory."""
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


class _Lane:
    """Windows of one lane."""

    def __init__(self, priority: Priority, parts: Parts, bounds: Bounds) -> None:
        self._priority, self._parts, self._bounds = priority, parts, bounds

    def take(self, *, ahead: bool) -> list[Share]:
        """Return the next window. Ahead only a large one: what arrives later can still join a smaller one."""
        partitions = self._parts.partitions
        if ahead and not partitions.worth_taking_ahead(self._priority, self._bounds):
            return []
        return partitions.take_window(self._priority, self._bounds, ready=self._parts.asking.ready)


class _Long:
    """Documents of one lane that are too long for a window: each is one of its own."""

    def __init__(self, priority: Priority, parts: Parts, bounds: Bounds) -> None:
        self._priority, self._parts, self._bounds = priority, parts, bounds

    def take(self, *, ahead: bool) -> list[Share]:
        """Return the next one."""
        return self._parts.partitions.take_long(self._priority, self._bounds, ready=self._parts.asking.ready)


class HotLoop:
    """Takes windows through the models: a flow for each lane, and some for its long documents.

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
        self._commits: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._crashed: asyncio.Future[None] | None = None
        self._refused = False
        parts.reader.on_arrival(self.wake)
        parts.reader.rest_while(lambda: any(flow.busy for flow in self._flows))
        long = range(MOST_LONG)
        self._flows = [
            self._flow(Urgency.INTERACTIVE, _Lane(Priority.INTERACTIVE, parts, bounds), in_model=WINDOWS_IN_MODEL),
            self._flow(Urgency.BULK, _Lane(Priority.BULK, parts, bounds), in_model=WINDOWS_IN_MODEL),
            # Flows of one each: long documents are of different partitions, and none waits for another.
            *[
                self._flow(Urgency.INTERACTIVE_LONG, _Long(Priority.INTERACTIVE, parts, bounds), in_model=1)
                for _ in long
            ],
            *[self._flow(Urgency.BULK_LONG, _Long(Priority.BULK, parts, bounds), in_model=1) for _ in long],
        ]

    async def run(self, stop: asyncio.Event, *, crashed: "asyncio.Future[None]") -> None:
        """Run until ``stop`` is set; then finish the windows in the model or drop them.

        Args:
            stop: Ends the loop in order.
            crashed: Ends it at once, with the error that it is given.
        """
        self._crashed = crashed
        work = [self._parts.reader.run(), self._observe(), *(flow.run() for flow in self._flows)]
        reader, _, *flows = self._tasks = [asyncio.create_task(each) for each in work]
        stopped = asyncio.create_task(stop.wait())
        ends: set[asyncio.Future[Any]] = {stopped, crashed, *self._tasks}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for end in done - {stopped}:
            end.result()
        await _cancel(reader)
        await self._finish(flows)

    async def close(self) -> None:
        """Give everything up that is still ours."""
        for task in (*self._tasks, *self._settling):
            await _cancel(task)
        await self._parts.ownership.close()
        with contextlib.suppress(KafkaError):  # nothing is lost: the group finds out by itself
            await hang_up(self._parts.consumer)

    def wake(self) -> None:
        """Look again at what waits: something arrived, or has left the model, or may be answered now."""
        self._parts.asking.look()
        for partition in self._parts.partitions.unready(self._parts.asking.ready):
            self._hold_back(partition)
        for flow in self._flows:
            flow.wake()

    async def _finish(self, flows: "Sequence[asyncio.Task[None]]") -> None:
        for flow in self._flows:
            flow.stop()
        await asyncio.wait(flows, timeout=STOP_S)
        for task in flows:
            await _cancel(task)
        if self._commits:
            await asyncio.wait(self._commits, timeout=STOP_S)

    def _flow(self, urgency: Urgency, supply: Supply, *, in_model: int) -> Flow:
        return Flow(urgency, supply=supply, ask=self._ask, commit=self._commit, changed=self.wake, in_model=in_model)

    def _ask(self, shares: Sequence[Share], urgency: Urgency) -> Question:
        items = [item for share in shares for item in share.items]
        self._metrics.window_documents.observe(len(items))
        self._metrics.window_fill.observe(sum(item.n_tokens for item in items) / self._bounds.n_tokens)
        return self._parts.asking.ask(items, urgency)

    def _commit(self, share: Share, asked: Sequence[Asked], routes: Routes) -> "asyncio.Task[None]":
        task = self._parts.committer.start(share, asked, routes)
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return task

    def _hold_back(self, partition: Partition) -> None:
        """Let a partition wait for the deployment that its next event asks for; the others go on."""
        partition.held = True
        task = asyncio.create_task(self._settle(partition, partition.queue[0]))
        self._settling.add(task)
        task.add_done_callback(self._settled)

    async def _settle(self, partition: Partition, item: Item) -> None:
        await self._parts.asking.settle(item, last_arrival=self._parts.partitions.last_arrival)
        partition.held = False
        self.wake()

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._settling.discard(task)
        if not task.cancelled() and (error := task.exception()) and self._crashed and not self._crashed.done():
            self._crashed.set_exception(error)

    async def _observe(self) -> None:
        ownership, partitions = self._parts.ownership, self._parts.partitions
        while True:
            self._status.observe(
                n_waiting=partitions.n_waiting,
                n_partitions=len(partitions),
                has_assignment=ownership.assigned is not None,
            )
            self._status.keep(ownership.assigned or ())
            self._say_whether_refused()
            self._metrics.commit_age.set(self._status.commit_age())
            self.wake()  # the serving table may be another one, and partitions may be gone
            await asyncio.sleep(_OBSERVE_S)

    def _say_whether_refused(self) -> None:
        """One line when the broker stops to take results, and one when it takes them again."""
        seconds = self._status.refused_s
        if seconds and not self._refused:
            logger.warning("%s for %.0f s; waiting, nothing is lost", REFUSED, seconds, extra={"action": "refused"})
        elif self._refused and not seconds:
            logger.info("Kafka takes results again", extra={"action": "refused"})
        self._refused = bool(seconds)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
