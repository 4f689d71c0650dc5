"""Windows of one urgency on their way: taken when the model is free, answered and committed in their order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from agents.hotloop.answers import Asked
from agents.hotloop.asking import Question
from agents.hotloop.partitions import Share
from agents.inference import Urgency
from agents.routing import Routes

MAX_UNCOMMITTED = 4
"""Windows that were taken but are not committed: enough to never wait for a commit, few enough to bound memory."""

Commit = Callable[[Share, Sequence[Asked], Routes], "asyncio.Task[None]"]


class Supply(Protocol):
    """Where windows come from."""

    def take(self, *, ahead: bool) -> list[Share]:
        """Return the next window, or nothing; ``ahead`` of the one that is in the model only where it pays."""


class Flow:
    """Takes windows of one urgency through the models.

    Args:
        urgency: Of the windows.
        supply: Where they come from.
        ask: Hands a window's events to the models.
        commit: Begins to commit one partition's part of a window.
        changed: Called when a window left the model or was committed, so that others may be taken.
        in_model: The most windows in the model at the same time.
    """

    def __init__(
        self,
        urgency: Urgency,
        *,
        supply: Supply,
        ask: Callable[[Sequence[Share], Urgency], Question],
        commit: Commit,
        changed: Callable[[], None],
        in_model: int,
    ) -> None:
        self._urgency = urgency
        self._most_in_model = in_model
        self._supply = supply
        self._ask = ask
        self._commit = commit
        self._changed = changed
        self._wake = asyncio.Event()
        self._uncommitted = asyncio.Semaphore(MAX_UNCOMMITTED)
        self._in_model: deque[tuple[Sequence[Share], Question]] = deque()
        self._asked = asyncio.Event()
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whether a window is in the model."""
        return bool(self._in_model)

    def wake(self) -> None:
        """Look again whether there is something to take, or to give up."""
        self._wake.set()
        for shares, question in self._in_model:
            if all(share.stale for share in shares):
                question.answers.cancel()

    async def run(self) -> None:
        """Take windows until told to stop, and return when the last has its answers."""
        handing_on = asyncio.create_task(self._hand_on())
        taking = asyncio.create_task(self._take())
        try:
            await asyncio.wait([handing_on, taking], return_when=asyncio.FIRST_COMPLETED)
            for task in (handing_on, taking):
                if task.done():
                    task.result()
            await handing_on
        finally:
            handing_on.cancel()
            taking.cancel()
            await asyncio.gather(handing_on, taking, return_exceptions=True)

    def stop(self) -> None:
        """Take no more."""
        self._stopping = True
        self._wake.set()
        self._asked.set()

    async def _take(self) -> None:
        while not self._stopping:
            await self._uncommitted.acquire()
            await self._take_one()

    async def _take_one(self) -> None:
        # In a method of its own, as below: whoever waits for the next window must not hold the last one's models.
        if shares := await self._next():
            self._in_model.append((shares, self._ask(shares, self._urgency)))
            self._asked.set()

    async def _next(self) -> list[Share]:
        while not self._stopping:
            self._wake.clear()
            n_in_model = len(self._in_model)
            if n_in_model < self._most_in_model and (shares := self._supply.take(ahead=n_in_model > 0)):
                return shares
            await self._wake.wait()
        return []

    async def _hand_on(self) -> None:
        while not (self._stopping and not self._in_model):
            self._asked.clear()
            while self._in_model:
                await self._hand_on_one()
            if not self._stopping:
                await self._asked.wait()

    async def _hand_on_one(self) -> None:
        shares, question = self._in_model[0]
        asked = await question.asked()
        self._in_model.popleft()
        self._begin_commits(shares, asked, question.routes)
        self._changed()

    def _begin_commits(self, shares: Sequence[Share], asked: Sequence[Asked], routes: Routes) -> None:
        rest = iter(asked)
        commits = [self._commit(share, [next(rest) for _ in share.items], routes) for share in shares]
        for share in shares:
            share.partition.reading = False
        whole = asyncio.gather(*commits, return_exceptions=True)
        whole.add_done_callback(lambda _: self._committed())

    def _committed(self) -> None:
        self._uncommitted.release()
        self._changed()
