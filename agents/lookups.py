"""Finding Kafka's brokers where it names none.

A broker that has just started may answer that there is none, not even itself, and so does one that has lost touch with
its controller for a moment. aiokafka fails then, whatever it is asked, and takes it for a mistake of its own (an
``AssertionError``) when it looks up who coordinates a group or transactions; it tries again where a broker is only not
ready.
"""

import asyncio
import time
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError

_bootstrap: Final = AIOKafkaClient.bootstrap
_look_up: Final = AIOKafkaClient.coordinator_lookup
_NAMED_S: Final = 10.0
_PAUSE_S: Final = 0.1


def guard_lookups() -> None:
    """Let every client of this process wait and try again in that case.

    NOTE: aiokafka has no place for this; the version is pinned exactly, and the tests notice when the names are gone.
    """
    AIOKafkaClient.bootstrap = bootstrap
    AIOKafkaClient.coordinator_lookup = look_up_coordinator


async def bootstrap(client: Any) -> None:
    """Get to know Kafka's brokers; where it names none, wait a moment for some.

    Raises:
        KafkaError: aiokafka's, if none of the addresses answers.
    """
    await _bootstrap(client)
    end = time.monotonic() + _NAMED_S
    while not client.cluster.brokers() and time.monotonic() < end:
        await asyncio.sleep(_PAUSE_S)
        await client.force_metadata_update()


async def look_up_coordinator(client: Any, kind: int, key: str) -> int:
    """Ask any broker for the id of the one that coordinates.

    Raises:
        KafkaError: The broker's; or that none is ready, if none is known.
    """
    if client.get_random_node() is None:
        raise NodeNotReadyError("Kafka names no brokers")
    coordinator: int = await _look_up(client, kind, key)
    return coordinator
