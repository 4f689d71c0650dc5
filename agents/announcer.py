"""Control events of a worker that belong to no transaction: what became of a model that was to be loaded."""

import asyncio
import contextlib
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.hanging_up import hang_up_producer
from agents.settings import Settings
from agents.writer import event_entry, producer_options
from schemas.control_events import ControlEvent

logger = logging.getLogger(__name__)

_RETRY_S = 0.5
_STOP_S = 3.0


class Announcer:
    """Sends control events in their order, as soon as Kafka takes them. Belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: asyncio.Queue[ControlEvent] = asyncio.Queue()
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to send."""
        self._producer = AIOKafkaProducer(**producer_options(self._settings))
        await self._producer.start()
        self._task = asyncio.create_task(self._send_all(self._producer), name="announcer")

    def say(self, event: ControlEvent) -> None:
        """Send ``event`` after those before it."""
        self._waiting.put_nowait(event)

    async def stop(self) -> None:
        """Send what waits, if Kafka takes it within a moment, and stop."""
        if self._task:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.join(), _STOP_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._producer:
            await hang_up_producer(self._producer)

    async def _send_all(self, producer: AIOKafkaProducer) -> None:
        while True:
            event = await self._waiting.get()
            entry = event_entry(self._settings, event)
            while True:
                try:
                    await producer.send_and_wait(entry.topic, entry.value, key=entry.key)
                except KafkaError as error:
                    logger.warning("cannot send a control event: %r; trying again", error, extra={"action": "retry"})
                    await asyncio.sleep(_RETRY_S)
                else:
                    break
            self._waiting.task_done()
