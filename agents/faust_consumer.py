"""Faust's consumer, stopped in order and within a moment, whatever its group is at.

It runs in a thread of its own. In a rebalance that comes while the app stops Faust would close parts of it, from
another thread than theirs: whoever assigns the partitions then waits for topics that nothing looks up any more. And
it would wait until all others have joined, and take for its own a cancellation that aiokafka ends with.
"""

import asyncio
import logging
from typing import Any, Final

from agents.hanging_up import ended, hang_up

logger = logging.getLogger(__name__)

_CALLS_S: Final = 1.0
"""For what was asked of the consumer by other threads."""


def guard_consumer(app: Any) -> None:
    """Let the app's consumer be stopped by its own thread only, and not for long.

    NOTE: Faust has no place for this; the version is pinned exactly, and the tests notice when the names are gone.
    """
    from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

    thread: Any = AIOKafkaConsumerThread
    thread.on_thread_stop = _stop_in_thread
    app._on_rebalance_when_stopped = _leave_it_alone


def _leave_it_alone() -> None:
    pass


async def _stop_in_thread(thread: Any) -> None:
    from faust.transport.consumer import ConsumerThread

    await ended(asyncio.create_task(ConsumerThread.on_thread_stop(thread)), within_s=_CALLS_S)
    if thread._consumer is not None:
        try:
            await hang_up(thread._consumer)
        except Exception as error:  # the thread would not end
            logger.debug("Faust's consumer stopped with %r", error, extra={"action": "consumer_stop"})
