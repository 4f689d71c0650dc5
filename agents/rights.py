"""Whether Kafka lets a process do all that it will have to do; asked when it starts, and told in one line.

Each question is a request that changes nothing, since what it names is not there: a broker looks first whether it is
allowed, and only then whether it makes sense.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest

from agents.acls import Acl, Operation, Pattern, ResourceType, Role, acls_of
from agents.kafka import client_options
from agents.settings import Settings
from schemas.errors import InvalidInput, Unavailable

logger = logging.getLogger(__name__)

_NOWHERE: Final = 2**31 - 1
"""A partition that no topic has."""
_NOBODY: Final = "looks-for-rights"
_TIMEOUT_MS: Final = 10_000
_RETRY_S: Final = 0.5
_REFUSED: Final = {
    error.errno
    for error in (
        TopicAuthorizationFailedError,
        GroupAuthorizationFailedError,
        TransactionalIdAuthorizationFailed,
    )
}
_TOPIC: Final = 2


async def require_rights(settings: Settings, role: Role) -> None:
    """Return if Kafka allows all that ``role`` needs.

    Raises:
        InvalidInput: With all that is not allowed, in one line.
        Unavailable: If Kafka does not answer within ``broker_wait_s``, as when the node that is asked has just died.
    """
    if missing := await _asked_until(time.monotonic() + settings.broker_wait_s, settings, role):
        raise InvalidInput([missing_words(missing, principal=settings.sasl_username, role=role)])


async def _asked_until(end: float, settings: Settings, role: Role) -> list[Acl]:
    while True:
        try:
            return await missing_rights(settings, acls_of(role, settings))
        except Unavailable as error:
            if time.monotonic() > end:
                raise
            logger.warning("%s; asking again", error, extra={"action": "retry"})
            await asyncio.sleep(_RETRY_S)


def missing_words(missing: Iterable[Acl], *, principal: str | None, role: Role) -> str:
    """Return the line that says what is not allowed, and what to do."""
    who = f"User:{principal}" if principal else "us"
    return (
        f"Kafka does not allow {who} what a {role} needs: {'; '.join(map(str, missing))}; "
        f"add these ACLs as docs/security.md shows for the {role}"
    )


async def missing_rights(settings: Settings, acls: Iterable[Acl]) -> list[Acl]:
    """Return those of ``acls`` that Kafka does not allow us.

    Without a transactional id that we may write under, it is not asked which topics we may write to.

    Raises:
        Unavailable: If Kafka does not answer.
    """
    client = AIOKafkaClient(**client_options(settings), request_timeout_ms=_TIMEOUT_MS)
    wanted = list(acls)
    try:
        await client.bootstrap()
        refused = [*await _topics(client, wanted), *await _groups(client, wanted), *await _writes(client, wanted)]
    except (KafkaError, TimeoutError, OSError) as error:
        raise Unavailable(f"Kafka does not say what we may do: {error!r}") from error
    finally:
        await client.close()
    return [acl for acl in wanted if acl in refused]


async def _ask(client: AIOKafkaClient, request: Any) -> Any:
    return await client.send(client.get_random_node(), request)


def _named(acl: Acl) -> str:
    """Return a name that the ACL is for."""
    return f"{acl.name}{_NOBODY}" if acl.pattern is Pattern.PREFIXED else acl.name


def _with(acls: Iterable[Acl], resource: ResourceType, operation: Operation) -> dict[str, Acl]:
    return {_named(acl): acl for acl in acls if (acl.resource, acl.operation) == (resource, operation)}


async def _topics(client: AIOKafkaClient, acls: Sequence[Acl]) -> list[Acl]:
    """Ask for what needs no transaction: reading, making, looking at settings."""
    reads, creates, configs = (
        _with(acls, ResourceType.TOPIC, operation)
        for operation in (Operation.READ, Operation.CREATE, Operation.DESCRIBE_CONFIGS)
    )
    refused = []
    if reads:
        answer = await _ask(client, FetchRequest(0, 0, 1, 0, [(name, [(_NOWHERE, 0, 1)]) for name in reads]))
        refused += [reads[name] for name, parts in answer.topics if parts[0][1] in _REFUSED]
    if creates:
        new: list[Any] = [(name, 1, 1, [], []) for name in creates]
        answer = await _ask(client, CreateTopicsRequest(new, _TIMEOUT_MS, validate_only=True))
        refused += [creates[name] for name, code, *_ in answer.topic_errors if code in _REFUSED]
    if configs:
        answer = await _ask(client, DescribeConfigsRequest([(_TOPIC, name, []) for name in configs]))
        refused += [configs[name] for code, _, _, name, _ in answer.resources if code in _REFUSED]
    return refused


async def _groups(client: AIOKafkaClient, acls: Sequence[Acl]) -> list[Acl]:
    wanted = _with(acls, ResourceType.GROUP, Operation.READ)
    answers = [(acl, await _ask(client, HeartbeatRequest(name, 0, _NOBODY))) for name, acl in wanted.items()]
    return [acl for acl, answer in answers if answer.error_code in _REFUSED]


async def _writes(client: AIOKafkaClient, acls: Sequence[Acl]) -> list[Acl]:
    """Ask for all topics under each transactional id: where we may not use the id, nothing is said of topics."""
    topics = _with(acls, ResourceType.TOPIC, Operation.WRITE)
    refused = []
    for name, acl in _with(acls, ResourceType.TRANSACTIONAL_ID, Operation.WRITE).items():
        places = [(topic, [_NOWHERE]) for topic in topics]
        answer = await _ask(client, AddPartitionsToTxnRequest(name, 0, 0, places))
        codes = {topic: parts[0][1] for topic, parts in answer.errors}
        if TransactionalIdAuthorizationFailed.errno in codes.values():
            refused.append(acl)
        else:
            refused += [topics[topic] for topic, code in codes.items() if code in _REFUSED]
    return refused
