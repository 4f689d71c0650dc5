"""Follows the registry: loads what is deployed beside what serves, puts it in its place between two windows."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from agents.inference import CallThread, Engine
from agents.metrics import Metrics
from agents.registry import Registry, watch
from agents.routing import compile_routes
from agents.serving import Key, ServingTable
from agents.standing import Standing, forgettable, key_of, next_record, still_there
from schemas.control_events import ControlEvent, EventType
from schemas.errors import ArtefactError, Unavailable
from schemas.records import DeploymentRecord, ModelReference, ProjectRecord, RouteRecord

logger = logging.getLogger(__name__)

RETRY_S = 2.0
"""Between two tries to read a model from a store that does not answer."""


class Follower(Protocol):
    """What follows the registry."""

    state: Registry

    def on_change(self, listener: Callable[[Registry], None]) -> None:
        """Call ``listener`` with every new state."""

    async def catch_up(self) -> Registry:
        """Return a state that holds all that was written before."""


class Loader:
    """Keeps the serving table true to the registry. Belongs to one event loop; others may ask for the table and settle.

    Args:
        follower: Follows the registry.
        engine: Loads models.
        route_topic: Gives the topic of a route.
        announce: Sends a control event.
        worker: What we are called in control events.
        models_bytes: Room for models kept for a rollback.
        metrics: What is measured.
        failed: Told what ended the loader when nobody asked it to end: no model would ever change again.
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
    ) -> None:
        self._follower = follower
        self._engine = engine
        self._route_topic = route_topic
        self._announce = announce
        self._worker = worker
        self._models_bytes = models_bytes
        self._metrics = metrics
        self._failed = failed
        self._table = ServingTable()
        self._standings: dict[Key, Standing] = {}
        self._unavailable: dict[Key, str] = {}
        self._sizes: dict[str, int] = {}
        self._loading = CallThread("loading")
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on to follow, and return when nothing that is deployed is left to load."""
        self._follower.on_change(self._on_change)
        self._on_change(self._follower.state)
        await self._deal_with_all()
        self._task = asyncio.create_task(self._run(), name="loader")
        watch(self._task, self._failed)

    async def stop(self) -> None:
        """Follow no longer."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._loading.stop()

    def table(self) -> ServingTable:
        """Return the present table. A model in it can be used as long as somebody holds it, even once unloaded."""
        return self._table

    def problems(self) -> list[str]:
        """Return which deployments answer nobody because the store does not answer us."""
        waiting = sorted(self._unavailable.items())
        return [f"{'/'.join(key)}: {error}; trying again" for key, error in waiting if key not in self._standings]

    async def settle(self, keys: set[Key]) -> None:
        """Return when it is certain whether the deployments exist, and those that do are loaded or refused.

        May be called from any event loop. Waits as long as the store is away: an answer given now would make a dead
        letter of a document that nothing is wrong with.
        """
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._settle(keys), self._loop))

    async def _settle(self, keys: set[Key]) -> None:
        registry = await self._caught_up()
        waiting = {key for key in keys if registry.deployment(*key)}
        async with self._changed:
            await self._changed.wait_for(lambda: all(map(self._dealt_with, waiting)))

    async def _caught_up(self) -> Registry:
        while True:
            try:
                return await self._follower.catch_up()
            except KafkaError as error:
                self._metrics.retries.labels("registry").inc()
                logger.warning("cannot read the registry's end: %r; trying again", error, extra={"action": "retry"})
                await asyncio.sleep(RETRY_S)

    def _dealt_with(self, key: Key) -> bool:
        return key in self._standings or self._follower.state.deployment(*key) is None

    def _on_change(self, registry: Registry) -> None:
        self._standings = still_there(registry, self._standings)
        self._unavailable = {key: error for key, error in self._unavailable.items() if registry.deployment(*key)}
        self._rebuild()
        self._wake.set()

    def _rebuild(self) -> None:
        registry = self._follower.state
        projects = {record.name: record for record in registry.all(ProjectRecord)}
        deployments = {
            key: standing.shown(projects[key[0]]) for key, standing in self._standings.items() if key[0] in projects
        }
        routes = compile_routes(registry.all(RouteRecord), self._route_topic)
        self._table = ServingTable(deployments, projects, routes)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._deal_with_all()

    async def _deal_with_all(self) -> None:
        while True:
            if await self._try_all():
                return await self._forget()
            await asyncio.sleep(RETRY_S)

    async def _try_all(self) -> bool:
        """Try each deployment that has not been dealt with once; return whether none is left."""
        tried: dict[Key, Standing] = {}
        while record := next_record(self._follower.state, self._standings | tried):
            key = key_of(record)
            try:
                standing = await self._deal_with(record)
            except Unavailable as error:
                self._metrics.retries.labels("store").inc()
                logger.warning("%s; trying again", error, extra={"action": "retry"})
                if self._follower.state.deployment(*key):  # it may be gone meanwhile
                    self._unavailable[key] = str(error)
                tried[key] = Standing(record, None, None)
                continue
            self._unavailable.pop(key, None)
            if self._follower.state.deployment(*key):
                self._standings[key] = standing
            self._rebuild()
            await self._tell()
        await self._tell()  # somebody may wait for a deployment that was deleted
        return not tried

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _deal_with(self, record: DeploymentRecord) -> Standing:
        started = time.monotonic()
        current = self._standings.get(key_of(record))
        try:
            model = await self._load(record.model)
        except ArtefactError as error:
            standing = await self._instead(record, current, (str(error),))
            self._metrics.load_failures.inc()
            logger.warning("%s/%s: %s", record.project, record.name, error, extra={"action": "load"})
            self._announce(self._event(record, EventType.FAILED, {"problems": [str(error)]}))
            return standing
        self._announce(self._event(record, EventType.SUCCEEDED, _facts(model, time.monotonic() - started)))
        return Standing(record, record.model, model)

    async def _instead(self, record: DeploymentRecord, current: Standing | None, problems: tuple[str, ...]) -> Standing:
        """Stay with what serves; a worker that has just started takes the newest older model that loads."""
        if current is not None and current.serves is not None:
            return replace(current, record=record, problems=problems)
        for older in filter(None, (record.previous, *record.earlier)):
            try:
                return Standing(record, older, await self._load(older), problems)
            except ArtefactError as error:
                problems = (*problems, str(error))
        return Standing(record, None, None, problems)

    async def _load(self, reference: ModelReference) -> Any:
        model = await self._loading.run(partial(self._engine.load, reference.digest))
        self._sizes[reference.digest] = model.nbytes
        self._measure()
        return model

    async def _forget(self) -> None:
        for digest in forgettable(self._standings.values(), self._sizes, most_bytes=self._models_bytes):
            del self._sizes[digest]
            await self._loading.run(partial(self._engine.unload, digest))
            logger.info("unloaded %s", digest, extra={"action": "unload"})
        self._measure()

    def _measure(self) -> None:
        self._metrics.models.set(len(self._sizes))
        self._metrics.model_bytes.set(self._engine.loaded_bytes())

    def _event(self, record: DeploymentRecord, event: EventType, details: dict[str, Any]) -> ControlEvent:
        facts = {"worker": self._worker, "deployment": record.name, "model": record.model.payload()}
        return ControlEvent(
            command_id=record.command_id, project=record.project, event=event, details={**facts, **details}
        )


def _facts(model: Any, seconds: float) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "seconds": round(seconds, 3),
        "backend": model.backend.name,
        "backends": [report.payload() for report in manifest.backends],
    }
