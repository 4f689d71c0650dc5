"""The worker that people write first: one event after the other through ``transformers.pipeline``."""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from agents.bench.subject import Spec
from agents.kafka import client_options
from agents.leaving import leave
from agents.settings import Settings

_COMMIT_MS = 1000


class Naive:
    """Reads an event, asks the pipeline (torch, FP32, all cores), sends the answer and waits for it."""

    def __init__(self, spec: Spec) -> None:
        from transformers import pipeline

        self._settings = Settings(**spec.settings)
        self._pipeline: Any = pipeline("token-classification", model=spec.folder, aggregation_strategy="first")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Warm up and begin to read."""
        self._pipeline("Warm the model up before it serves.")
        options = client_options(self._settings)
        self._consumer = AIOKafkaConsumer(
            self._settings.topics.documents,
            **options,
            group_id=self._settings.group,
            auto_offset_reset="earliest",
            auto_commit_interval_ms=_COMMIT_MS,
        )
        self._producer = AIOKafkaProducer(**options, acks="all")
        await self._consumer.start()
        await self._producer.start()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_left)

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """There is nothing more to say than what everybody says."""
        return {}

    async def stop(self) -> None:
        """End in order."""
        if self._task is not None:
            self._task.remove_done_callback(_left)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._consumer.stop()
        await self._producer.stop()

    async def _run(self) -> None:
        async for record in self._consumer:
            event = orjson.loads(record.value)
            answer = {"id": event["id"], "text": event["text"], "results": [{"entities": self._found(event["text"])}]}
            await self._producer.send_and_wait(
                self._settings.topics.enriched, orjson.dumps(answer), key=record.key, partition=record.partition
            )

    def _found(self, text: str) -> list[dict[str, Any]]:
        return [
            {
                "text": text[each["start"] : each["end"]],
                "category": each["entity_group"],
                "offset": each["start"],
                "length": each["end"] - each["start"],
                "confidenceScore": round(float(each["score"]), 4),
            }
            for each in self._pipeline(text)
        ]


def _left(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        leave(error)
