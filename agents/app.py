"""The Faust app of a process, started and stopped on our own event loop.

Signals and logging stay ours: ``faust.Worker``, which would take both, is not used. Nothing listens: no web server, no
leader topic. Faust makes a folder when it starts and keeps nothing in it.
"""

import asyncio
import logging
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, Protocol

from agents.faust_consumer import guard_consumer
from agents.guards import guard_clients
from agents.hanging_up import ended
from agents.kafka import faust_options
from agents.settings import Settings
from agents.stopping import Stopped, unless_told
from schemas.errors import Fatal, InvalidSettings

logger = logging.getLogger(__name__)

Role = Literal["worker", "trainer"]
_GROUPS: dict[Role, str] = {"worker": "control", "trainer": "trainer"}
_A_MONTH_S = 30 * 24 * 3600.0
_REBALANCE_TIMEOUT_S = 20.0
_STOP_S = 10.0
_STUCK_S = 0.2
_MOST_STUCK = 10


class Service(Protocol):
    """Something that runs beside the app, on the same loop."""

    async def start(self) -> None:
        """Start; return when it works."""

    async def stop(self) -> None:
        """Stop; return when nothing of it is left."""


def group_of(settings: Settings, role: Role) -> str:
    """Return the consumer group of a role's agents."""
    return f"{settings.group}-{_GROUPS[role]}"


def create_app(settings: Settings, *, role: Role) -> Any:
    """Return a Faust app to which agents can be added. Belongs to the loop that is running.

    Args:
        settings: Addresses, group and timeouts.
        role: Which group the app's agents are in.

    Raises:
        InvalidSettings: If the home cannot be made.
    """
    import faust

    guard_clients(settings)
    folder = settings.home / "faust"  # Faust wants one; there are no tables to put into it
    _make(folder)
    instance = settings.group_instance_id and f"{settings.group_instance_id}-{_GROUPS[role]}"
    app: Any = faust.App(
        group_of(settings, role),
        **faust_options(settings),
        loop=asyncio.get_running_loop(),
        datadir=str(folder),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        processing_guarantee="at_least_once",
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_s / 6),
        broker_rebalance_timeout=_REBALANCE_TIMEOUT_S,
        broker_request_timeout=max(30.0, settings.session_timeout_s + 10),
        consumer_group_instance_id=instance or None,
        consumer_auto_offset_reset="earliest",
        # An agent may hold one message for as long as a training takes. Nothing of ours waits for it in a rebalance:
        # what it writes then is fenced.
        stream_wait_empty=False,
        stream_processing_timeout=_A_MONTH_S,
        broker_max_poll_interval=24 * 3600.0,
    )
    guard_consumer(app)
    return app


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"home: {folder} cannot be made ({error.strerror}); expected a folder that can be written to"
        raise InvalidSettings([problem]) from None


async def run_app(app: Any, services: Sequence[Service], stop: asyncio.Event) -> None:
    """Start the services and then the app, wait for ``stop``, and stop them in the other order.

    An app that is still starting when ``stop`` comes, since Kafka does not answer, is not waited for.

    Raises:
        Fatal: If the app could not start or crashed; the process should leave at once.
    """
    async with AsyncExitStack() as stack:
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        try:
            await unless_told(stop, _start_app(app))
        except Stopped:
            await _stop_app(app)
            return
        stack.push_async_callback(_stop_app, app)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        crashing = asyncio.create_task(_crash(app), name="crash")
        try:
            await asyncio.wait({stopping, crashing}, return_when=asyncio.FIRST_COMPLETED)
            if crashing.done():
                crashing.result()
        finally:
            stopping.cancel()
            crashing.cancel()


async def _start_app(app: Any) -> None:
    try:
        await app.start()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Faust's services cancel each other when one cannot start; nobody cancelled us.
        raise Fatal("Faust gave up while it started; expected a Kafka that stays") from error


async def _crash(app: Any) -> None:
    await app.wait_until_stopped()
    raise Fatal(f"Faust stopped by itself ({app.state}); expected it to run until told to stop")


async def _stop_app(app: Any) -> None:
    stopping = asyncio.create_task(app.stop())
    try:
        await asyncio.wait({stopping}, timeout=_STOP_S)
        if stopping.done():
            stopping.result()
        else:
            logger.warning("Faust did not stop within %.0f s; going on without it", _STOP_S, extra={"action": "stop"})
            await _abandon(stopping)
    finally:
        stopping.cancel()
        shutil.rmtree(app.conf.datadir, ignore_errors=True)


async def _abandon(stopping: "asyncio.Task[None]") -> None:
    """Cancel for each part that does not stop: a cancellation only makes Faust go on to the next one."""
    for _ in range(_MOST_STUCK):
        if not stopping.done():
            await ended(stopping, within_s=_STUCK_S)
