"""The worker process: Faust with the controller, the hot loop in a thread of its own, models in another.

Exit codes are those of ``agents.leaving``: 0 told to stop, 2 settings or topics, 3 crashed or fenced, 4 no broker when
it started, 5 too many dead letters.
"""

import asyncio
import logging
import os
import signal
import socket
from contextlib import AsyncExitStack

from prometheus_client import PlatformCollector, ProcessCollector

from agents.acls import Role
from agents.announcer import Announcer
from agents.app import Service, create_app, run_app
from agents.control.controller import Controller
from agents.guards import guard_clients
from agents.health import Check, HealthServer
from agents.hotloop.service import HotLoopThread
from agents.kafka import wait_for_broker
from agents.leaving import OK, exit_code, leave, say
from agents.loader import Loader
from agents.logs import setup_logs
from agents.metrics import Metrics
from agents.registry import RegistryFollower
from agents.rights import require_rights
from agents.settings import Settings
from agents.stopping import Stopped, unless_told
from agents.topics import check_topics
from agents.trimming import Trimming, malloc_trim
from models.engine.engine import Engine
from models.store import Store
from models.tuning.machine import this_machine
from models.tuning.search import Limits
from models.tuning.tuner import Tuner
from schemas.errors import Disposition, InvalidInput, LexstreamError

logger = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024


def run_worker(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; return its exit code."""
    setup_logs(settings.log_level, settings.log_format)
    try:
        asyncio.run(_run(settings))
    except LexstreamError as error:
        say(error)
        return exit_code(error)
    logger.info("stopped", extra={"action": "stop"})
    return OK


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    guard_clients(settings)
    async with AsyncExitStack() as stack:
        worker = _Worker(settings, stack)
        try:
            await unless_told(stop, worker.start())
        except Stopped:
            return
        try:
            await worker.run(stop)
        except LexstreamError as error:
            if error.disposition is Disposition.CRASH:
                leave(error)
            raise
        except Exception as error:
            leave(error)


class _Worker:
    """A worker's parts, started one after another and stopped by ``stack`` in the other order."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._metrics = Metrics()
        ProcessCollector(registry=self._metrics.registry)
        PlatformCollector(registry=self._metrics.registry)
        self._starting = ["still starting: the registry is read and the models are loaded"]

    async def start(self) -> None:
        """Start everything but the hot loop and Faust: they come when all that is deployed is loaded."""
        settings, metrics = self._settings, self._metrics
        checks: dict[str, Check] = {"worker": lambda: self._starting, "hot loop": self._hot_loop_problems}
        health = HealthServer(settings.metrics_host, settings.metrics_port, registry=metrics.registry, checks=checks)
        await self._started(health)
        await wait_for_broker(settings)
        await require_rights(settings, Role.WORKER)
        if problems := await check_topics(settings):
            raise InvalidInput(problems)
        self._store = Store(settings.store_url)
        self._follower = RegistryFollower(settings, failed=leave)
        await self._started(self._follower)
        announcer = Announcer(settings)
        await self._started(announcer)
        limits = Limits(budget_s=settings.tuning_s)
        self._tuner = Tuner(
            self._store, backend=settings.backend, machine=this_machine(settings.threads or None), limits=limits
        )
        self._engine = Engine(
            self._store,
            plan_of=self._tuner.plan_of,
            observe=lambda stage, seconds: metrics.observe_stage(f"model_{stage}", seconds),
        )
        self._loader = Loader(
            self._follower,
            engine=self._engine,
            route_topic=settings.topics.route,
            announce=announcer.say,
            worker=settings.group_instance_id or f"{socket.gethostname()}-{os.getpid()}",
            models_bytes=settings.models_mb * _MEGABYTE,
            metrics=metrics,
            failed=leave,
            tuning_of=self._tuner.known,
        )
        checks["models"] = self._loader.problems
        await self._started(self._loader)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set."""
        app = create_app(self._settings, role="worker")
        controller = Controller(self._settings, self._follower, self._store)
        controller.register(app)
        self._hot_loop = HotLoopThread(
            self._settings,
            engine=self._engine,
            tables=self._loader,
            metrics=self._metrics,
            failed=leave,
        )
        self._tuner.begin_to_serve()
        self._starting.clear()
        logger.info("ready to serve", extra={"action": "start"})
        # Faust takes a moment to stop; the hot loop need not wait for it.
        early = asyncio.create_task(_stop_when(stop, self._hot_loop))
        await run_app(app, [Trimming(malloc_trim()), controller, self._hot_loop], stop)
        await early

    async def _started(self, part: Service) -> None:
        self._stack.push_async_callback(part.stop)
        await part.start()

    def _hot_loop_problems(self) -> list[str]:
        return [] if self._starting else self._hot_loop.status.problems()


async def _stop_when(stop: asyncio.Event, service: Service) -> None:
    await stop.wait()
    await service.stop()
