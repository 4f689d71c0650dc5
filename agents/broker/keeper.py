"""Starts the local broker again when it dies, as long as ``lexstream up`` runs."""

import asyncio
import logging
from typing import Protocol

from agents.broker.local import BrokerStatus
from agents.broker.room import lack_of_room
from schemas.errors import Unavailable

logger = logging.getLogger(__name__)


class Broker(Protocol):
    """A local broker or cluster."""

    def status(self) -> BrokerStatus:
        """Return whether all of it runs."""

    def start(self) -> BrokerStatus:
        """Start what does not."""


async def keep_running(broker: Broker, *, every_s: float = 1.0) -> None:
    """Look after ``broker`` until cancelled. A start that fails is logged and tried again."""
    while True:
        await asyncio.sleep(every_s)
        status = await asyncio.to_thread(broker.status)
        if status.running:
            continue
        why = lack_of_room(status.data)
        logger.warning("the local broker died; starting it again%s", why, extra={"action": "restart"})
        try:
            await asyncio.to_thread(broker.start)
        except Unavailable as error:
            logger.warning("the local broker: %s", error, extra={"action": "restart"})
