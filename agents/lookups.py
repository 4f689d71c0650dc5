"""Looking up who coordinates a group or transactions, where Kafka names no brokers.

A broker that has just started may answer that there is none, not even itself. aiokafka takes that for a mistake of its
own (an ``AssertionError``), which ends whatever asked; it tries again where a broker is only not ready.
"""

from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError

_look_up: Final = AIOKafkaClient.coordinator_lookup


def guard_lookups() -> None:
    """Let every client of this process try again in that case.

    NOTE: aiokafka has no place for this; the version is pinned exactly, and the tests notice when the name is gone.
    """
    AIOKafkaClient.coordinator_lookup = look_up_coordinator


async def look_up_coordinator(client: Any, kind: int, key: str) -> int:
    """Ask any broker for the id of the one that coordinates.

    Raises:
        KafkaError: The broker's; or that none is ready, if none is known.
    """
    if client.get_random_node() is None:
        raise NodeNotReadyError("Kafka names no brokers")
    coordinator: int = await _look_up(client, kind, key)
    return coordinator
