"""The Kafka that a run is done on: one of our own, to be murdered too, or the one that was asked for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agents.broker import LocalBroker, LocalCluster
from agents.broker.address import free_ports
from agents.kafka import wait_for_broker
from agents.prove.clients import delete_topics, require_client
from agents.prove.events import DEPLOYMENT, PROJECT
from agents.settings import Settings, on_own_kafka

_AS_BY_DEFAULT: Final = (
    "session_timeout_s",  # frozen workers wake behind it
    "transaction_timeout_s",  # what the dead left open is waited for in the end, and the end may take a minute
    "window_tokens",  # some documents are longer than it
    "max_message_bytes",  # and none than that
    "dead_letter_limit",  # far above the share of poison
    "string_index_type",
    "log_level",  # who has which partition is read off the logs
)
"""Settings that the schedule, the events and the count are made for: with others the proof would be wrong, or empty."""


_LOOK_S: Final = 10.0
"""How long to wait for a Kafka of somebody: people look on, and it should be there."""


def alone(settings: Settings, name: str, **changed: object) -> Settings:
    """Return the same settings for a run by itself: topics and a group of its own, and outputs that can be checked."""
    ours = {field: Settings.model_fields[field].default for field in _AS_BY_DEFAULT}
    ours |= {
        "namespace": name,
        "group": name,
        "group_instance_id": None,
        "lanes": [],
        "default_tasks": [f"{PROJECT}/{DEPLOYMENT}"],
        "include_text": True,
        "output_format": "json",
        "schema_registry_url": None,
        "metrics_port": 0,
        "log_format": "json",
    }
    return Settings.model_validate(settings.model_dump() | ours | changed)


@contextmanager
def own_broker(
    settings: Settings, name: str, folder: Path, *, nodes: int = 1
) -> Iterator[tuple[Settings, LocalBroker | LocalCluster]]:
    """Start a broker whose data lives in ``folder``; it is killed in the end.

    Args:
        settings: Say where jars are kept, and all else of the workers.
        name: The run's namespace and group.
        folder: For the broker's data.
        nodes: 1, or 3 for a cluster.
    """
    addresses, jars = [f"127.0.0.1:{port}" for port in free_ports(nodes)], settings.home.absolute() / "jars"
    broker = LocalBroker(folder, *addresses, cache=jars) if nodes == 1 else LocalCluster(folder, addresses, cache=jars)
    try:
        broker.start()
        yield alone(settings, name, **on_own_kafka(",".join(addresses))), broker
    finally:
        broker.kill()
        broker.stop()


@contextmanager
def at_brokers(settings: Settings, name: str) -> Iterator[tuple[Settings, None]]:
    """Give settings for a run on a Kafka that is not ours; its topics are deleted in the end."""
    reached = alone(settings, name)
    require_client()
    asyncio.run(wait_for_broker(reached.model_copy(update={"broker_wait_s": min(reached.broker_wait_s, _LOOK_S)})))
    try:
        yield reached, None
    finally:
        delete_topics(reached)
