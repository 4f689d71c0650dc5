"""Committed offsets, read so that an error is never taken for "nothing was committed yet".

aiokafka asks with a version of the request whose answer has one error for all partitions, and looks only for errors of
single partitions. A broker that coordinates the group no longer, or not yet, names no partitions; so every consumer
that asks it would begin at the beginning, and what was done would be done again. Nor does aiokafka ask for *stable*
offsets: a coordinator that was frozen, and does not know yet that another took over, would answer from its memory.
``guard_offsets`` changes both for every consumer of this process, Faust's too.
"""

from collections.abc import Iterable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from aiokafka.structs import OffsetAndMetadata

_OFFSET_FETCH: Final = 9
_VERSION: Final = 7
"""The first that asks for stable offsets: Kafka 2.5."""
_UNSTABLE: Final = 88
_NOTHING: Final = -1


class UnstableOffsets(KafkaError):  # type: ignore[misc] # aiokafka has no types
    """A transaction that commits offsets has not ended."""

    retriable = True


class _Response(Response):  # type: ignore[misc] # aiokafka has no types
    API_KEY = _OFFSET_FETCH
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = _OFFSET_FETCH
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("group", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class _StableOffsets(Request[_Struct]):  # type: ignore[misc] # as above
    API_KEY = _OFFSET_FETCH

    def __init__(self, group: str, partitions: Iterable[TopicPartition]) -> None:
        self._group = group
        self._topics: dict[str, list[int]] = {}
        for tp in partitions:
            self._topics.setdefault(tp.topic, []).append(tp.partition)

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        tags: dict[int, bytes] = {}
        topics = [(topic, partitions, tags) for topic, partitions in self._topics.items()]
        return request_struct_class(self._group, topics, True, tags)


def guard_offsets() -> None:
    """Let every consumer of this process heed all errors, and read stable offsets only.

    NOTE: aiokafka has no place for this. What asks again, and whom, stays its own; the version is pinned exactly, and
    the tests notice when the name is gone.
    """
    GroupCoordinator._do_fetch_commit_offsets = fetch_offsets


async def fetch_offsets(coordinator: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Any]:
    """Ask the coordinator for committed offsets. A partition for which there is none is left out.

    Raises:
        KafkaError: The coordinator does not say; if it is another by now, it is looked up again.
    """
    answer = await coordinator._send_req(_StableOffsets(coordinator.group_id, partitions))
    _heed(answer.error_code, coordinator)
    found = {}
    for topic, states, _ in answer.topics:
        for partition, offset, _, metadata, error_code, _ in states:
            _heed(error_code, coordinator)
            if offset != _NOTHING:
                found[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
    return found


def _heed(code: int, coordinator: Any) -> None:
    if not code:
        return
    error = UnstableOffsets() if code == _UNSTABLE else for_code(code)(coordinator.group_id)
    if isinstance(error, NotCoordinatorForGroupError | GroupCoordinatorNotAvailableError):
        coordinator.coordinator_dead()
    raise error
