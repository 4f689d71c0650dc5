"""What tests of the control plane share: a namespace on a real broker, commands in, events and records out."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.app import create_app, run_app
from agents.control.controller import Controller
from agents.registry import Registry, RegistryFollower, encode_record
from agents.settings import Settings, load_settings
from agents.topics import create_topics
from models.store import Store
from schemas.commands import COMMAND, Command
from schemas.records import Record, record_key

PATIENCE_S = 40.0


def settings_of(brokers: str, namespace: str, folder: Path, **more: Any) -> Settings:
    """Return settings of a namespace that only this test uses."""
    options = {
        "brokers": brokers,
        "namespace": namespace,
        "group": namespace,
        "store": (folder / "store").as_uri(),
        "home": folder,
        "metrics_port": 0,
    }
    return load_settings(options | more)


def command(what: str, project: str = "loans", *, id: str, **parameters: Any) -> Command:  # noqa: A002
    """Return a command."""
    return COMMAND.validate_python({"id": id, "command": what, "project": project, "parameters": parameters})


def make_bundle(labels_file: Any, texts: dict[str, str]) -> bytes:
    """Return the bundle of a labels file and its texts by location."""
    return orjson.dumps({"labelsFile": labels_file, "documents": texts})


class Outside:
    """Somebody outside: hands in commands and reads what is visible to everybody."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
        self._follower = RegistryFollower(settings)

    async def __aenter__(self) -> Self:
        await create_topics(self.settings, 2)
        await self._producer.start()
        await self._follower.start()
        return self

    async def __aexit__(
        self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        await self._producer.stop()
        await self._follower.stop()

    async def hand_in(self, *commands: Command | bytes | None) -> None:
        """Put commands onto the control topic."""
        for one in commands:
            value = one if one is None or isinstance(one, bytes) else orjson.dumps(one.payload())
            await self._producer.send_and_wait(self.settings.topics.control, value, key=b"loans")

    async def write(self, *records: Record) -> None:
        """Put records straight into the registry."""
        for record in records:
            key = record_key(record).encode()
            await self._producer.send_and_wait(self.settings.topics.registry, encode_record(record), key=key)

    async def delete(self, *keys: str) -> None:
        """Take records straight out of the registry."""
        for key in keys:
            await self._producer.send_and_wait(self.settings.topics.registry, None, key=key.encode())

    async def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Put a message anywhere."""
        await self._producer.send_and_wait(topic, value, key=key)

    async def registry(self) -> Registry:
        """Return the registry as it is now."""
        return await self._follower.catch_up()

    async def registry_when(self, condition: Callable[[Registry], bool]) -> Registry:
        """Return the registry once it meets ``condition``."""
        return await asyncio.wait_for(self._follower.wait_for(condition), PATIENCE_S)

    async def events(self, *, until: Callable[[list[dict[str, Any]]], bool] = lambda _: True) -> list[dict[str, Any]]:
        """Return all control events, ``read_committed``, once enough is there."""
        found = await read_all(self.settings, self.settings.topics.control_events, until=lambda m: until(_values(m)))
        return _values(found)

    async def consumed(self, group: str, partition: TopicPartition) -> int | None:
        """Return the offset that a group has committed."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.brokers, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            offset: int | None = await consumer.committed(partition)
            return offset
        finally:
            await consumer.stop()


async def read_all(
    settings: Settings, topic: str, *, until: Callable[[list[Any]], bool] = lambda _: True, quiet: bool = True
) -> list[Any]:
    """Return all messages of a topic, ``read_committed``, once there are enough and (if ``quiet``) no more come."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=settings.brokers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    found: list[Any] = []
    end = time.monotonic() + PATIENCE_S
    try:
        while True:
            batch = await consumer.getmany(timeout_ms=300)
            found += [message for messages in batch.values() for message in messages]
            if (not batch or not quiet) and until(found):
                return found
            assert time.monotonic() < end, f"not enough after {PATIENCE_S} s: {[m.value for m in found]}"
    finally:
        await consumer.stop()


class Running:
    """A process's control plane inside the test: Faust with a controller, until the block ends."""

    def __init__(self, settings: Settings, **controller: Any) -> None:
        self._settings = settings
        self._options = controller
        self._stop = asyncio.Event()
        self._follower = RegistryFollower(settings)

    async def __aenter__(self) -> Self:
        await self._follower.start()
        app = create_app(self._settings, role="worker")
        store = Store(self._settings.store_url)
        controller = Controller(self._settings, self._follower, store, **self._options)
        controller.register(app)
        self._task = asyncio.create_task(run_app(app, [controller], self._stop))
        return self

    async def __aexit__(
        self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._stop.set()
        await asyncio.wait_for(self._task, 15)
        await self._follower.stop()


def _values(messages: list[Any]) -> list[dict[str, Any]]:
    found = []
    for message in messages:
        with suppress(orjson.JSONDecodeError):
            found.append(orjson.loads(message.value))
    return found


def named(events: list[dict[str, Any]], command_id: str) -> list[str]:
    """Return the kinds of a command's events, in order."""
    return [event["event"] for event in events if event["commandId"] == command_id]
