"""Jobs that everybody forgot: Faust may skip a message in a rebalance, and nobody would ever read it again."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Set
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from agents.registry import RegistryFollower, watch
from agents.trainer.outcome import forgotten
from schemas.base import now

logger = logging.getLogger(__name__)

LOOK_S: Final = 30.0
_SEND_S: Final = 10.0
_FORGOTTEN_S: Final = 60.0


class ForgottenJobs:
    """Looks for jobs that nobody works on, and sends their messages again."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        registry: RegistryFollower,
        *,
        topic: str,
        ours: Callable[[], Set[int]],
        look_s: float,
        leave: Callable[[BaseException], None],
    ) -> None:
        """Make what looks.

        Args:
            producer: Sends the messages; started before us.
            registry: Follows the registry, on the same event loop.
            topic: Of the jobs.
            ours: Tells the partitions whose jobs we look for: none while we work on one.
            look_s: How often.
            leave: Ends the process when something happens that must not.
        """
        self._producer = producer
        self._registry = registry
        self._topic = topic
        self._ours = ours
        self._look_s = look_s
        self._leave = leave
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.create_task(self._look_again_and_again(), name="forgotten-jobs")
        watch(self._looking, self._leave)

    async def stop(self) -> None:
        """Look no more."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            with contextlib.suppress(KafkaError, TimeoutError):
                await self._look()

    async def _look(self) -> None:
        if not (ours := self._ours()):
            return
        numbers = sorted(await self._producer.partitions_for(self._topic))
        partition_of = DefaultPartitioner()
        for job in forgotten(self._registry.state, at=now(), after_s=_FORGOTTEN_S):
            key = job.project.encode()
            if partition_of(key, numbers, numbers) in ours:
                logger.warning("job %s was forgotten: sent again", job.id, extra={"action": "job_forgotten"})
                async with asyncio.timeout(_SEND_S):
                    await self._producer.send_and_wait(self._topic, job.id.encode(), key=key)
