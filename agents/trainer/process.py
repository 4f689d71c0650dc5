"""The trainer as a process: from its settings to its exit code."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence

from agents.acls import Role
from agents.app import create_app, run_app
from agents.guards import guard_clients
from agents.kafka import wait_for_broker
from agents.leaving import OK, exit_code, leave, say
from agents.logs import setup_logs
from agents.registry import RegistryFollower
from agents.rights import require_rights
from agents.settings import Settings
from agents.stopping import Stopped, unless_told
from agents.topics import require_topics
from agents.trainer.child import COMMAND
from agents.trainer.trainer import Trainer
from schemas.errors import LexstreamError

logger = logging.getLogger(__name__)


def run_trainer(settings: Settings, *, command: Sequence[str] = COMMAND) -> int:
    """Train until SIGTERM or Ctrl-C, and return the exit code.

    Args:
        settings: All of them.
        command: Starts a training; the folder of the job comes last.

    Returns:
        0 after a signal, 2 if settings or topics are wrong, 3 after a crash, 4 if no Kafka answers.
    """
    setup_logs(settings.log_level, settings.log_format)
    try:
        asyncio.run(_train(settings, command))
    except LexstreamError as error:
        say(error)
        return exit_code(error)
    logger.info("stopped", extra={"action": "stop"})
    return OK


async def _train(settings: Settings, command: Sequence[str]) -> None:
    from models.store import Store

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    guard_clients(settings)
    try:
        await unless_told(stop, _look_at_kafka(settings))
    except Stopped:
        return
    name = settings.group_instance_id or f"{socket.gethostname()}-{os.getpid()}"
    async with RegistryFollower(settings, failed=leave) as registry:
        app = create_app(settings, role="trainer")
        trainer = Trainer(settings, registry, Store(settings.store_url), name=name, command=command)
        trainer.register(app)
        logger.info("trainer %s is ready", name, extra={"action": "ready"})
        await run_app(app, [trainer], stop)


async def _look_at_kafka(settings: Settings) -> None:
    await wait_for_broker(settings)
    await require_rights(settings, Role.TRAINER)
    topics = settings.topics
    await require_topics(settings, only={topics.registry, topics.jobs, topics.labels, topics.control_events})
