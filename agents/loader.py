"""Follows the registry: loads what is deployed beside what serves, puts it in its place between two windows.

Memory is bounded: a deployment whose model had to give way is *parked*, and loaded again when a document asks for it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from agents.inference import Engine
from agents.keeping import ranked
from agents.loading_news import LoadingNews
from agents.metrics import Metrics
from agents.registry import Registry, watch
from agents.serving import Key, Parked, ServingTable
from agents.shelf import Shelf
from agents.standing import Change, Standing, candidates, change, dealt_with, due, key_of, settled, tabled
from agents.usage import Usage
from models.plans import Tuning
from schemas.control_events import ControlEvent
from schemas.errors import ArtefactError, Unavailable
from schemas.records import DeploymentRecord, ModelReference

logger = logging.getLogger(__name__)

RETRY_S = 2.0
"""Between two tries to read a model from a store that does not answer."""
PROMISE_S = 60.0
"""How long a model that documents waited for stays in any case: then they had their turn, or are not ours any more."""


class Follower(Protocol):
    """What follows the registry."""

    state: Registry

    def on_change(self, listener: Callable[[Registry], None]) -> None:
        """Call ``listener`` with every new state."""

    async def catch_up(self) -> Registry:
        """Return a state that holds all that was written before."""


def _tuned_where_trained(manifest: Any) -> Tuning | None:
    tuning: Tuning | None = manifest.tuning
    return tuning


class Loader:
    """Keeps the serving table true to the registry. Belongs to one event loop.

    Any thread may ask for the ``table``, ``settle``, and say what is ``used``.

    Args:
        follower: Follows the registry.
        engine: Loads models.
        route_topic: Gives the topic of a route.
        announce: Sends a control event.
        worker: What we are called in control events.
        models_bytes: Most memory of models.
        metrics: What is measured.
        failed: Told what ended the loader when nobody asked it to end: no model would ever change again.
        tuning_of: Says by a model's manifest what was measured of it here; called on the loop, so it must not block.
    """

    def __init__(
        self,
        follower: Follower,
        *,
        engine: Engine,
        route_topic: Callable[[str], str],
        announce: Callable[[ControlEvent], None],
        worker: str,
        models_bytes: int,
        metrics: Metrics,
        failed: Callable[[BaseException], None],
        tuning_of: Callable[[Any], Tuning | None] = _tuned_where_trained,
    ) -> None:
        self._follower = follower
        self._tuning_of = tuning_of
        self._route_topic = route_topic
        self._announce = announce
        self._news = LoadingNews(worker)
        self._metrics = metrics
        self._failed = failed
        self._shelf = Shelf(engine, most_bytes=models_bytes, metrics=metrics)
        self._usage = Usage()
        self._registry = Registry()
        self._records: dict[Key, DeploymentRecord] = {}
        self._standings: dict[Key, Standing] = {}
        self._unavailable: dict[Key, str] = {}
        self._wanted: dict[Key, None] = {}
        self._put_off: set[Key] = set()
        self._table = ServingTable()
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on to follow, and return when all that is deployed is loaded, or memory is full."""
        self._follower.on_change(self._on_change)
        self._news.start(self._follower.state.all(DeploymentRecord))
        self._on_change(self._follower.state)
        await self._deal_with_all()
        self._task = asyncio.create_task(self._run(), name="loader")
        watch(self._task, self._failed)

    async def stop(self) -> None:
        """Follow no longer."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._shelf.close()

    def table(self) -> ServingTable:
        """Return the present table. A model in it can be used as long as somebody holds it, even once unloaded."""
        return self._table

    def problems(self) -> list[str]:
        """Return which deployments answer nobody: the store does not answer us, or no model of theirs can be loaded."""
        waiting = sorted(self._unavailable.items())
        away = [f"{'/'.join(key)}: {error}; trying again" for key, error in waiting if not self._settled(key)]
        refused = sorted((key, one.problems[0]) for key, one in self._standings.items() if one.serves is None)
        return away + [f"{'/'.join(key)}: {problem}; deploy a model that can be loaded" for key, problem in refused]

    def used(self, keys: Collection[Key]) -> None:
        """Note which deployments a window asks: the models of those used least lately give way first. Cheap."""
        if self._usage.note(keys) and self._shelf.over:
            with contextlib.suppress(RuntimeError):  # the process is about to end
                self._loop.call_soon_threadsafe(self._wake.set)

    async def settle(self, keys: Collection[Key]) -> None:
        """Return when it is certain whether the deployments exist, and those that do are loaded or refused.

        They stay loaded until ``used`` names them (or for a minute), if need be beyond the bound: so ask for those of
        one document at a time. Waits as long as the store is away: an answer given now would make a dead letter of a
        document that nothing is wrong with. May be called from any event loop.
        """
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._settle(frozenset(keys)), self._loop))

    async def _settle(self, keys: Collection[Key]) -> None:
        if not all(key in self._records for key in keys):
            await self._catch_up()
        waiting = {key for key in keys if key in self._records}
        self._usage.promise(waiting, until=float("inf"))
        self._wanted |= dict.fromkeys(waiting)
        self._wake.set()
        try:
            while not all(map(self._settled, waiting)):
                await self._changed.wait()
        finally:
            self._usage.promise(waiting & self._records.keys(), until=time.monotonic() + PROMISE_S)
            if self._shelf.over:
                self._loop.call_later(PROMISE_S, self._wake.set)

    async def _catch_up(self) -> None:
        while True:
            try:
                await self._follower.catch_up()
            except KafkaError as error:
                self._metrics.retries.labels("registry").inc()
                logger.warning("cannot read the registry's end: %r; trying again", error, extra={"action": "retry"})
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _settled(self, key: Key) -> bool:
        return settled(self._records.get(key), self._standings.get(key))

    def _on_change(self, registry: Registry) -> None:
        found = change(self._registry, registry)
        self._registry = registry
        for key, record in found.deployments.items():
            self._take_note(key, record)
        self._publish(found)
        self._wake.set()

    def _take_note(self, key: Key, record: DeploymentRecord | None) -> None:
        self._put_off.discard(key)
        if record is None:
            for known in (self._records, self._standings, self._unavailable, self._wanted):
                known.pop(key, None)
            self._usage.forget(key)
            return
        self._records[key] = record
        warm = self._shelf.get(record.model.digest)
        if warm is not None and not dealt_with(record, self._standings.get(key)):
            self._standings[key] = self._succeeded(record, warm, seconds=0.0)

    def _publish(self, found: Change) -> None:
        """Put a new table in the place of the old one, and wake who waits for a deployment."""
        self._table = tabled(self._table, found, self._registry, self._standings, route_topic=self._route_topic)
        self._changed.set()
        self._changed = asyncio.Event()

    def _place(self, standings: dict[Key, Standing]) -> None:
        self._standings |= standings
        self._publish(Change(deployments={key: self._records.get(key) for key in standings}))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._deal_with_all()

    async def _deal_with_all(self) -> None:
        while not await self._try_all():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RETRY_S)
        await self._trim()

    async def _try_all(self) -> bool:
        """Try each deployment that has something to load once; return whether none is left."""
        tried: dict[Key, DeploymentRecord] = {}
        while keys := [key for key in self._due() if tried.get(key) is not self._records[key]]:
            for key in keys:
                if self._wake.is_set():
                    break  # something has changed; documents may wait for another
                record = self._records[key]
                if not await self._tried(key, record):
                    tried[key] = record
        return not tried

    def _due(self) -> list[Key]:
        self._wake.clear()
        self._wanted = {key: None for key in self._wanted if not self._settled(key)}
        return due(self._records, self._standings, wanted=self._wanted, put_off=self._put_off)

    async def _tried(self, key: Key, record: DeploymentRecord) -> bool:
        """Deal with a deployment; return whether the store answered."""
        try:
            standing = await self._dealt_with(record, self._standings.get(key))
        except Unavailable as error:
            self._metrics.retries.labels("store").inc()
            logger.warning("%s; trying again", error, extra={"action": "retry"})
            if key in self._records:  # it may be gone meanwhile
                self._unavailable[key] = str(error)
            return False
        self._unavailable.pop(key, None)
        newest = self._records.get(key)
        if newest and (newest is record or not dealt_with(newest, self._standings.get(key))):
            self._place({key: standing})
        if self._shelf.over:
            await self._make_room()
        return True

    async def _dealt_with(self, record: DeploymentRecord, current: Standing | None) -> Standing:
        if current is not None and current.serves is not None and dealt_with(record, current):
            return await self._again(current, current.serves)
        started = time.monotonic()
        try:
            model = await self._load(record.model, beside=current.serves if current else None)
        except ArtefactError as error:
            if current is not None and current.serves is not None:
                standing = replace(current, record=record, problems=(str(error),))
            else:
                standing = await self._older(record, str(error), but={record.model.digest})
            self._refused(record, str(error))
            return standing
        return self._succeeded(record, model, seconds=time.monotonic() - started)

    async def _again(self, parked: Standing, serves: ModelReference) -> Standing:
        try:
            return replace(parked, model=await self._load(serves))
        except ArtefactError as error:
            record = parked.record
            standing = await self._older(record, str(error), but={record.model.digest, serves.digest})
            self._refused(record, str(error))
            return standing

    async def _older(self, record: DeploymentRecord, problem: str, *, but: Collection[str]) -> Standing:
        """Serve the newest older model that loads, when there is none that serves on."""
        problems: tuple[str, ...] = (problem,)
        for older in candidates(record, but=but):
            try:
                return Standing(record, older, await self._load(older), problems)
            except ArtefactError as error:
                problems = (*problems, str(error))
        return Standing(record, None, None, problems)

    def _refused(self, record: DeploymentRecord, problem: str) -> None:
        self._metrics.load_failures.inc()
        logger.warning("%s/%s: %s", record.project, record.name, problem, extra={"action": "load"})
        self._announce(self._news.refused(record, problem))

    def _succeeded(self, record: DeploymentRecord, model: Any, *, seconds: float) -> Standing:
        if self._task:  # what is loaded at the start was not asked for
            self._usage.touch(key_of(record))
        self._announce(self._news.served(record, self._facts(model, seconds)))
        return Standing(record, record.model, model)

    async def _load(self, reference: ModelReference, *, beside: ModelReference | None = None) -> Any:
        if self._shelf.knows(reference.digest):
            await self._trim(coming=(reference.digest, *([beside.digest] if beside else ())))
        return await self._shelf.load(reference.digest)

    async def _make_room(self) -> None:
        if self._task is None:  # what is deployed does not fit: the rest has to wait until it is asked for
            self._put_off |= {key for key in self._records if not self._settled(key)}
            self._wake.set()
        await self._trim()
        if self._shelf.over:
            logger.warning("the models in use take more memory than models_mb allows", extra={"action": "load"})

    async def _trim(self, coming: tuple[str, ...] = ()) -> None:
        """Unload what nobody needs and what does not fit; what it leaves without its model is parked.

        Args:
            coming: A model that room is made for, and the one that serves until it is there.
        """
        worth = dict.fromkeys([*coming, *ranked(self._standings, self._usage.last())])
        goes = set(self._shelf.surplus(worth, pinned=self._pinned().union(coming)))
        parked = {
            key: standing.without_model()
            for key, standing in self._standings.items()
            if standing.serves is not None and standing.serves.digest in goes and not standing.parked
        }
        if parked:
            self._place(parked)
        await self._shelf.unload(goes)
        self._shelf.remember({one.serves.digest for one in self._standings.values() if one.serves is not None})
        self._metrics.parked.set(sum(isinstance(one, Parked) for one in self._table.deployments.values()))

    def _pinned(self) -> set[str]:
        standings = map(self._standings.get, self._usage.promised(time.monotonic()))
        return {one.serves.digest for one in standings if one is not None and one.serves is not None}

    def _facts(self, model: Any, seconds: float) -> dict[str, Any]:
        plan, tuning = model.backend.plan, self._tuning_of(model.manifest)
        facts = {"seconds": round(seconds, 3), "backend": plan.backend, "plan": plan.payload()}
        return facts | ({"tuning": tuning.payload()} if tuning else {})
