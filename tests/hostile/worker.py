"""A worker with the echo engine: SETTINGS as JSON. Logs as workers do; ends at SIGTERM."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from typing import Any

import orjson

from agents.announcer import Announcer
from agents.hotloop.service import HotLoopThread
from agents.leaving import leave
from agents.loader import Loader
from agents.logs import setup_logs
from agents.metrics import Metrics
from agents.registry import RegistryFollower
from agents.settings import Settings
from tests.agents.echo import EchoEngine


async def main(settings: Settings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine, metrics = EchoEngine(), Metrics()
    async with AsyncExitStack() as stack:

        async def started(part: Any) -> None:
            stack.push_async_callback(part.stop)
            await part.start()

        follower, announcer = RegistryFollower(settings, failed=leave), Announcer(settings)
        await started(follower)
        await started(announcer)
        loader = Loader(
            follower,
            engine=engine,
            route_topic=settings.topics.route,
            announce=announcer.say,
            worker="hostile",
            models_bytes=2**30,
            metrics=metrics,
            failed=leave,
        )
        await started(loader)
        await started(HotLoopThread(settings, engine=engine, tables=loader, metrics=metrics, failed=leave))
        await stop.wait()


if __name__ == "__main__":
    given = Settings(**orjson.loads(sys.argv[1]))
    setup_logs(given.log_level, "json")
    asyncio.run(main(given))
