"""The hot loop in a thread and an event loop of its own, so that nothing the control plane does can hold it up."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.enrich import Enricher
from agents.guards import guard_clients
from agents.hanging_up import hang_up
from agents.hotloop.answers import Answering
from agents.hotloop.asking import Asking, Tables
from agents.hotloop.committer import Committer
from agents.hotloop.dead_letter_limit import DeadLetterLimit
from agents.hotloop.decode import Decoder
from agents.hotloop.limits import Limits, read_limits
from agents.hotloop.loop import HotLoop, Parts
from agents.hotloop.ownership import Ownership
from agents.hotloop.partitions import Partitions
from agents.hotloop.reader import Decode, Reader, decode_here, decode_in_thread
from agents.hotloop.status import LoopStatus
from agents.hotloop.transactions import BUILDER_BYTES, Turns
from agents.hotloop.window import Bounds
from agents.inference import Engine
from agents.kafka import METADATA_MAX_AGE_MS, client_options
from agents.metrics import Metrics
from agents.settings import Settings
from schemas.codecs.codec import DocumentCodec, EnrichedCodec
from schemas.codecs.schema_ids import schema_ids

logger = logging.getLogger(__name__)

HEARTBEAT_MS = 1000
REBALANCE_MS = 10_000
_REQUEST_MS = 20_000
_MEGABYTE = 1024 * 1024
_JOIN_S = 20.0
_TRANSACTION_SHARE = 0.7
"""How long we wait for one transaction, as a share of what the broker does: it fences whoever lets it time out."""
_RETRY_S = 1.0


def consumer_options(settings: Settings) -> dict[str, Any]:
    """Return the options of the hot loop's consumer."""
    session_ms = int(settings.session_timeout_s * 1000)
    return client_options(settings) | {
        "group_id": settings.group,
        "group_instance_id": settings.group_instance_id,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": min(HEARTBEAT_MS, session_ms // 3),
        "rebalance_timeout_ms": REBALANCE_MS,
        # The reader polls all the time, also while models run; somebody who does not poll this long is stuck.
        "max_poll_interval_ms": 300_000,
    }


def new_producers(settings: Settings, tp: TopicPartition) -> Turns:
    """Return the two producers of an input partition, not yet started."""
    return Turns(
        [
            AIOKafkaProducer(
                **client_options(settings),
                transactional_id=f"{settings.group}-{tp.topic}-{tp.partition}-{turn}",
                transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
                request_timeout_ms=_REQUEST_MS,
                linger_ms=0,
                max_batch_size=BUILDER_BYTES,
            )
            for turn in (0, 1)
        ]
    )


class HotLoopThread:
    """Runs the hot loop.

    Args:
        settings: The settings.
        engine: Runs the models.
        tables: Where the serving table comes from; called from this thread.
        metrics: What is measured.
        failed: Told, from this thread, what ended the loop when nobody asked it to end.
        producers: Makes what commits a partition's windows.

    Attributes:
        status: Signs of life.
        ended: Set when the thread has nothing left to do.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        engine: Engine,
        tables: Tables,
        metrics: Metrics,
        failed: Callable[[BaseException], None],
        producers: Callable[[Settings, TopicPartition], Turns] = new_producers,
    ) -> None:
        self.status = LoopStatus()
        self._settings = settings
        self._engine = engine
        self._tables = tables
        self._metrics = metrics
        self._failed = failed
        self._new_producers = producers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hot-loop", daemon=True)

    async def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Let the loop finish its window, and return when it has ended or takes too long."""
        if self._loop is None or self.ended.is_set():
            return
        with contextlib.suppress(RuntimeError):  # it has just ended
            self._loop.call_soon_threadsafe(self._stop.set)
        if not await asyncio.to_thread(self.ended.wait, _JOIN_S):
            logger.warning("the hot loop did not end in %.0f s", _JOIN_S, extra={"action": "stop"})

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                self._loop = runner.get_loop()
                runner.run(self._main())
        except BaseException as error:
            self._failed(error)
        finally:
            self.ended.set()

    async def _main(self) -> None:
        settings = self._settings
        guard_clients(settings)
        limits = Limits(settings.max_message_bytes * 5 // 2)
        outputs = [lane.output for lane in settings.all_lanes]
        await read_limits(limits, [*outputs, settings.topics.dead_letters], client_options(settings))
        crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        parts = await self._started(limits, crashed)
        if parts is None:
            return
        bounds = Bounds(settings.window_documents, settings.window_tokens)
        loop = HotLoop(parts, bounds=bounds, status=self.status, metrics=self._metrics)
        try:
            await loop.run(self._stop, crashed=crashed)
        except Exception as error:
            self._failed(error)
        await loop.close()

    async def _started(self, limits: Limits, crashed: "asyncio.Future[None]") -> Parts | None:
        """Join the group, trying again while Kafka is away; ``None`` when told to stop meanwhile."""
        while not self._stop.is_set():
            parts = self._parts(limits, crashed)
            try:
                await parts.consumer.start()
            except KafkaError as error:
                await hang_up(parts.consumer)
                self._metrics.retries.labels("join").inc()
                logger.warning("cannot join the group: %s; trying again", error, extra={"action": "retry"})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _RETRY_S)
            else:
                return parts
        return None

    def _parts(self, limits: Limits, crashed: "asyncio.Future[None]") -> Parts:
        settings, metrics = self._settings, self._metrics

        def crash(error: BaseException) -> None:
            if not crashed.done():
                crashed.set_exception(error)

        partitions = Partitions()
        ownership = Ownership(
            partitions,
            lanes={lane.input: lane for lane in settings.all_lanes},
            new_producers=partial(self._new_producers, settings),
            crash=crash,
            metrics=metrics,
        )
        consumer = AIOKafkaConsumer(**consumer_options(settings))
        consumer.subscribe([lane.input for lane in settings.all_lanes], listener=ownership)
        ownership.consumer = consumer
        reader = Reader(
            consumer,
            partitions,
            ownership=ownership,
            decode=_decode(settings),
            buffer_bytes=settings.buffer_mb * _MEGABYTE,
            metrics=metrics,
        )
        asking = Asking(
            self._tables,
            default_tasks={lane.input: settings.tasks_of(lane.input) for lane in settings.all_lanes},
            engine=self._engine,
            metrics=metrics,
        )
        committer = Committer(
            settings.group,
            answering=_answering(settings, limits),
            ownership=ownership,
            patience_s=_TRANSACTION_SHARE * settings.transaction_timeout_s,
            limits=limits,
            dead_letter_limit=DeadLetterLimit(settings.dead_letter_limit),
            status=self.status,
            metrics=metrics,
            crash=crash,
        )
        return Parts(consumer, partitions, ownership, reader, asking, committer)


def _answering(settings: Settings, limits: Limits) -> dict[str, Answering]:
    topics = settings.topics
    codec = EnrichedCodec(settings.output_format, schemas=schema_ids(_registry_url(settings)))
    enricher = Enricher(include_text=settings.include_text, string_index_type=settings.string_index_type)
    return {
        lane.input: Answering(
            lane,
            dead_letters=topics.dead_letters,
            control_events=topics.control_events,
            enricher=enricher,
            codec=codec,
            limit=limits,
        )
        for lane in settings.all_lanes
    }


def _decode(settings: Settings) -> Decode:
    decoder = Decoder(DocumentCodec(schema_ids(_registry_url(settings))), max_bytes=settings.max_message_bytes)
    return partial(decode_in_thread if settings.schema_registry_url else decode_here, decoder)


def _registry_url(settings: Settings) -> str | None:
    return settings.schema_registry_url.get_secret_value() if settings.schema_registry_url else None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
