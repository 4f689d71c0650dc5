"""Quotas of a real Kafka, set as `kafka-configs --entity-type users --entity-default` does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

_ALTER_CLIENT_QUOTAS = 49
_ENTITY = Array(("type", String("utf-8")), ("name", String("utf-8")))
_OPERATION = ("key", String("utf-8")), ("value", Float64), ("remove", Boolean)
EVERY_USER: Mapping[str, str | None] = {"user": None}
"""Whoever has no quota of its own, with all of its clients together."""


class _Response(Response):  # type: ignore[misc] # aiokafka has no types
    API_KEY = _ALTER_CLIENT_QUOTAS
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), ("entity", _ENTITY))),
    )


class _Struct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = _ALTER_CLIENT_QUOTAS
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "entries",
            Array(("entity", _ENTITY), ("ops", Array(*_OPERATION))),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_Struct]):  # type: ignore[misc] # as above
    API_KEY = _ALTER_CLIENT_QUOTAS

    def __init__(self, entity: Mapping[str, str | None], quotas: Mapping[str, float], *, remove: bool) -> None:
        self._entries = [(list(entity.items()), [(key, value, remove) for key, value in quotas.items()])]

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._entries, False)


async def _alter(brokers: str, quotas: Mapping[str, float], *, remove: bool) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        answer = await admin._send_request(_AlterClientQuotas(EVERY_USER, quotas, remove=remove))
    finally:
        await admin.close()
    assert [entry[:2] for entry in answer.entries] == [(0, None)]


@asynccontextmanager
async def throttled(brokers: str, **quotas: float) -> AsyncIterator[None]:
    """Let each user do so much in a second: ``producer_byte_rate``, ``consumer_byte_rate``, ``request_percentage``."""
    await _alter(brokers, quotas, remove=False)
    try:
        yield
    finally:
        await _alter(brokers, quotas, remove=True)
