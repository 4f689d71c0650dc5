"""The Kafka that a run is done on: one of our own, to be murdered too, or the one that was asked for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.broker import LocalBroker
from agents.broker.address import free_port
from agents.kafka import wait_for_broker
from agents.prove.clients import delete_topics, require_client
from agents.settings import Settings

_REACHES_KAFKA = {
    "brokers",
    "security_protocol",
    "sasl_mechanism",
    "sasl_username",
    "sasl_password",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
    "broker_wait_s",
}


@contextmanager
def own_broker(settings: Settings, name: str, folder: Path) -> Iterator[tuple[Settings, LocalBroker]]:
    """Start a broker whose data lives in ``folder``; it is killed in the end.

    Args:
        settings: Say where jars are kept.
        name: The run's namespace and group.
        folder: For the broker's data.
    """
    address = f"127.0.0.1:{free_port()}"
    broker = LocalBroker(folder, address, cache=settings.home.absolute() / "jars")
    try:
        broker.start()
        yield Settings(brokers=address, namespace=name, group=name), broker
    finally:
        broker.kill()
        broker.stop()


@contextmanager
def at_brokers(settings: Settings, name: str) -> Iterator[tuple[Settings, None]]:
    """Give settings for a run on a Kafka that is not ours; its topics are deleted in the end."""
    reached = Settings(**settings.model_dump(include=_REACHES_KAFKA), namespace=name, group=name)
    require_client()
    asyncio.run(wait_for_broker(reached))
    try:
        yield reached, None
    finally:
        delete_topics(reached)
