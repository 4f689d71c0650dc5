"""A consumer and producers that keep their word without a broker."""

import asyncio
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from tests.agents.factories import FakeRecord


@dataclass
class FakeBatch:
    messages: list[dict[str, Any]] = field(default_factory=list)

    def append(self, **message: Any) -> object:
        self.messages.append(message)
        return object()

    def close(self) -> None:
        """Nothing to do."""


@dataclass
class _State:
    fatal: bool = False

    def is_fatal_error(self) -> bool:
        return self.fatal


class FakeProducer:
    """Notes what is done with it; raises what it is given for a step."""

    def __init__(self, errors: dict[str, BaseException] | None = None, *, partitions: int = 4) -> None:
        self.steps: list[str] = []
        self.sent: list[tuple[str, int, int]] = []
        self.errors = errors or {}
        self._txn_manager = _State()
        self._partitions = partitions

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.errors:
            raise self.errors[name]

    async def start(self) -> None:
        self._step("start")

    async def stop(self) -> None:
        self._step("stop")

    async def begin_transaction(self) -> None:
        self._step("begin")

    async def commit_transaction(self) -> None:
        self._step("commit")

    async def abort_transaction(self) -> None:
        self._step("abort")

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, int], group_id: str) -> None:
        self._step(f"offsets {sorted(offsets.values())} {group_id}")

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self._partitions))

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        self.steps.append("send")
        self.sent.append((topic, partition, len(batch.messages)))
        future = asyncio.get_running_loop().create_future()
        if "send" in self.errors:
            future.set_exception(self.errors["send"])
        else:
            future.set_result(None)
        return future


class Part:
    """Of a client: can be closed."""

    closed = False
    _pending_tasks: Set["asyncio.Task[Any]"] = frozenset()

    async def close(self) -> None:
        self.closed = True


class _Sender:
    async def send(self) -> None:
        await asyncio.Event().wait()


class _Accumulator:
    def __init__(self, may_end: asyncio.Event) -> None:
        self._may_end = may_end

    async def close(self) -> None:
        await self._may_end.wait()


class LateProducer(FakeProducer):
    """Stops as aiokafka's does: it waits in a task for what it cannot send, which another task goes on to try."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Part()
        self.stopping, self.may_end = asyncio.Event(), asyncio.Event()
        self._sender, self._message_accumulator = _Sender(), _Accumulator(self.may_end)
        self.request = asyncio.create_task(self._sender.send())

    async def stop(self) -> None:
        self._step("stop")
        self.stopping.set()
        await asyncio.wait([asyncio.create_task(self._message_accumulator.close())])
        self.request.cancel()


class FakeConsumer:
    """Hands out what it is given, one answer a poll, and remembers where it was told to read."""

    def __init__(self, polls: list[dict[TopicPartition, list[FakeRecord]] | KafkaError] | None = None) -> None:
        self.polls = polls or []
        self.assigned: set[TopicPartition] = set()
        self.paused: set[TopicPartition] = set()
        self.seeks: list[tuple[TopicPartition, int]] = []
        self.committed_offsets: dict[TopicPartition, int] = {}
        self.during_poll: Any = None
        self.empty = asyncio.Event()

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.seeks.append((partition, offset))

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.committed_offsets.get(partition)

    def last_stable_offset(self, _partition: TopicPartition) -> int | None:
        return 100

    async def getmany(self, **_: object) -> dict[TopicPartition, list[FakeRecord]]:
        await asyncio.sleep(0)
        if self.during_poll:
            self.during_poll()
        if not self.polls:
            self.empty.set()
            await asyncio.get_running_loop().create_future()
        poll = self.polls.pop(0)
        if isinstance(poll, KafkaError):
            raise poll
        return poll
