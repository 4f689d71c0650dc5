"""A worker to be murdered: hot loop, controller, registry and loader as they serve, and an engine that obeys.

``python -m agents.prove.worker`` with what it needs as JSON in the first line of stdin: ``settings``, and the ``plan``
of a real model or null for an echo. SIGTERM ends it in order, and so does the end of stdin, which its parent holds.
SIGUSR1 cuts its connections, SIGUSR2 slows its model down for a while.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Protocol

import orjson
import psutil
from aiokafka import TopicPartition

from agents.announcer import Announcer
from agents.app import Service, create_app, run_app
from agents.control.controller import Controller
from agents.guards import guard_clients
from agents.hotloop.service import HotLoopThread, new_producers
from agents.hotloop.transactions import Turns
from agents.inference import Engine
from agents.kafka import wait_for_broker
from agents.leaving import OK, end, exit_code, leave, say
from agents.loader import Loader
from agents.logs import setup_logs
from agents.metrics import Metrics
from agents.prove.echo import EchoEngine
from agents.registry import RegistryFollower
from agents.settings import Settings
from agents.stopping import Stopped, unless_told
from models.store import Store
from schemas.errors import LexstreamError

logger = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024
Producers = Callable[[Settings, TopicPartition], Turns]


class ObedientEngine(Engine, Protocol):
    """An engine that can be told to be slow."""

    def slow_down(self) -> None:
        """Take its time for a while."""


def main(producers: Producers = new_producers, *, echo: ObedientEngine | None = None) -> None:
    """Run as a process.

    Args:
        producers: Makes what commits a partition's windows.
        echo: What answers if no real model does.
    """
    given: dict[str, Any] = orjson.loads(sys.stdin.buffer.readline())
    settings = Settings(**given["settings"])
    setup_logs(settings.log_level, "json")
    try:
        asyncio.run(_run(settings, _engine(given["plan"], settings) or echo or EchoEngine(), producers))
    except LexstreamError as error:
        say(error)
        end(exit_code(error))
    except Exception as error:
        leave(error)
    logger.info("stopped", extra={"action": "stop"})
    end(OK)


def _engine(plan: dict[str, Any] | None, settings: Settings) -> ObedientEngine | None:
    if plan is None:
        return None
    from agents.prove.real import real_engine

    return real_engine(settings, plan)


async def _run(settings: Settings, engine: ObedientEngine, producers: Producers) -> None:
    stop = asyncio.Event()
    _listen(stop, engine)
    guard_clients(settings)
    async with AsyncExitStack() as stack:
        try:
            follower, loader, metrics = await unless_told(stop, _start(settings, stack, engine=engine))
        except Stopped:
            return
        hot_loop = HotLoopThread(
            settings, engine=engine, tables=loader, metrics=metrics, failed=leave, producers=producers
        )
        controller = Controller(settings, follower, Store(settings.store_url))
        app = create_app(settings, role="worker")
        controller.register(app)
        logger.info("ready to serve", extra={"action": "start"})
        early = asyncio.create_task(_stop_when(stop, hot_loop))
        await run_app(app, [controller, hot_loop], stop)
        await early


def _listen(stop: asyncio.Event, engine: ObedientEngine) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, cut_connections)
    loop.add_signal_handler(signal.SIGUSR2, engine.slow_down)
    loop.add_reader(sys.stdin.fileno(), stop.set)  # nothing more is written to it, so this is its end


async def _start(
    settings: Settings, stack: AsyncExitStack, *, engine: ObedientEngine
) -> tuple[RegistryFollower, Loader, Metrics]:
    async def started(part: Service) -> None:
        stack.push_async_callback(part.stop)
        await part.start()

    metrics = Metrics()
    await wait_for_broker(settings)
    follower, announcer = RegistryFollower(settings, failed=leave), Announcer(settings)
    await started(follower)
    await started(announcer)
    loader = Loader(
        follower,
        engine=engine,
        route_topic=settings.topics.route,
        announce=announcer.say,
        worker=settings.group_instance_id or f"{socket.gethostname()}-{os.getpid()}",
        models_bytes=settings.models_mb * _MEGABYTE,
        metrics=metrics,
        failed=leave,
    )
    await started(loader)
    return follower, loader, metrics


async def _stop_when(stop: asyncio.Event, service: Service) -> None:
    await stop.wait()
    await service.stop()


def cut_connections() -> None:
    """Cut every TCP connection of this process, as a network does that breaks."""
    connections = [each for each in psutil.Process().net_connections("tcp") if each.raddr]
    for connection in connections:
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as same:
            same.shutdown(socket.SHUT_RDWR)
    logger.warning("%d connections were cut", len(connections), extra={"action": "cut"})


if __name__ == "__main__":
    main()
