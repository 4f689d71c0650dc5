"""Stopping Kafka's clients: in order, or else so that nothing of them stays."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

logger = logging.getLogger(__name__)

_STOP_S: Final = 3.0
_LEAVE_S: Final = 1.0


async def hang_up(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer. One that does not within a moment, or not in order, is let go of all the same.

    NOTE: where aiokafka waits before it asks again, it ends with a cancellation of its own, which would be taken for
    one of the caller's; and wherever it breaks off it leaves its tasks and connections behind.

    Raises:
        KafkaError: What it broke off with.
    """
    await _stop(consumer.stop, lambda: _close_consumer(consumer), within_s=_STOP_S)


async def hang_up_producer(producer: Any, *, within_s: float | None = None) -> None:
    """Stop a producer. One that does not within a moment, or not in order, is let go of with what it has not sent.

    Nobody may wait for that any more: no answer will come.

    NOTE: aiokafka's ``stop`` waits until all was sent, and what Kafka does not take from an idempotent producer never
    expires. Cancelled it leaves behind what goes on trying, and the connections.

    Args:
        producer: aiokafka's, or one that has only its methods, and is just told to stop.
        within_s: How long to wait for what is on its way, if not a moment.
    """
    try:
        await _stop(producer.stop, lambda: _close_producer(producer), within_s=within_s or _STOP_S)
    except Exception as error:
        logger.debug("a producer stopped with %r", error, extra={"action": "producer_stop"})


async def started(producer: Any) -> Any:
    """Start a producer and return it; one that cannot start is hung up.

    Raises:
        KafkaError: What it cannot start for.
    """
    try:
        await producer.start()
    except BaseException:
        await hang_up_producer(producer)
        raise
    return producer


async def ended(*tasks: "asyncio.Task[None]", within_s: float) -> None:
    """Return when tasks ended, in whatever way, or were cancelled because they took too long."""
    for task in tasks:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody else asks
    try:
        await asyncio.wait(tasks, timeout=within_s)
    finally:
        for task in tasks:
            task.cancel()


async def _stop(
    stop: Callable[[], Coroutine[Any, Any, None]],
    close_parts: Callable[[], Coroutine[Any, Any, None]],
    *,
    within_s: float,
) -> None:
    stopping = asyncio.create_task(stop())
    try:
        await asyncio.wait([stopping], timeout=within_s)
    finally:
        if not stopping.done() or stopping.cancelled() or stopping.exception():
            stopping.cancel()
            await ended(stopping, asyncio.create_task(close_parts()), within_s=within_s)
    if stopping.done() and not stopping.cancelled():
        stopping.result()


async def _close_consumer(consumer: AIOKafkaConsumer) -> None:
    try:
        if consumer._fetcher:
            await _close_fetcher(consumer._fetcher)
        await _leave(consumer._client, consumer._coordinator)
    finally:
        await consumer._client.close()


async def _close_fetcher(fetcher: Any) -> None:
    """Close what fetches. NOTE: its own ``close`` breaks off at the first fetch that has to be cancelled."""
    fetching = list(fetcher._pending_tasks)
    for task in fetching:
        task.cancel()
    await asyncio.gather(fetcher.close(), *fetching, return_exceptions=True)


async def _leave(client: Any, member: object) -> None:
    """Tell Kafka that a member is gone that was still joining: the others would wait for it as long as a session.

    It is told by another connection than that of the join, from which Kafka reads nothing until all have joined.
    """
    if not isinstance(member, GroupCoordinator) or member.coordinator_id is None:
        return
    if not member.member_id or member._group_instance_id:  # a static member stays one
        return
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(_LEAVE_S):
            await client.send(member.coordinator_id, LeaveGroupRequest(member.group_id, member.member_id))


async def _close_producer(producer: Any) -> None:
    tasks = _tasks_of(producer._sender, producer._message_accumulator)
    for task in tasks:
        task.cancel()
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await producer.client.close()


def _tasks_of(*owners: object) -> list["asyncio.Task[Any]"]:
    """Return the tasks that run methods of ``owners``: aiokafka keeps no list of them."""
    names = tuple(f"{type(owner).__name__}." for owner in owners)
    running: list[tuple[asyncio.Task[Any], Any]] = [(task, task.get_coro()) for task in asyncio.all_tasks()]
    return [
        task
        for task, method in running
        if getattr(method, "__qualname__", "").startswith(names) and method.cr_frame.f_locals["self"] in owners
    ]
