"""A real Kafka for the tests: one for the whole session, on a free port, and a namespace for each test."""

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from platformdirs import user_cache_path

from agents.broker import LocalBroker
from agents.broker.address import free_port

JARS = user_cache_path("lexstream") / "jars"
_PATIENCE_S = (10.0, 20.0, 60.0)


def local_broker(home: Path, *, port: int | None = None) -> LocalBroker:
    """A broker of ``home``, whose jars are shared by all tests and kept from run to run."""
    return LocalBroker(home, f"127.0.0.1:{port or free_port()}", cache=JARS)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a broker that runs until the session ends."""
    broker = local_broker(tmp_path_factory.mktemp("kafka"))
    try:
        yield broker.start().address
    finally:
        broker.stop()


@pytest.fixture
def namespace() -> str:
    """A prefix for topics and groups that no other test uses."""
    return f"test-{uuid.uuid4().hex[:8]}"


def create_topics(brokers: str, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
    """Make the topics ``names`` and return when they are there.

    A client was once not answered for 20 s by a Kafka that had just answered another one: a second and a third may try.
    """
    topics = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
    for patience_s in _PATIENCE_S:
        admin = AdminClient({"bootstrap.servers": brokers})
        made = admin.create_topics(topics, operation_timeout=10)
        if all(_is_there(each, patience_s, again=patience_s > _PATIENCE_S[0]) for each in made.values()):
            return
    raise TimeoutError(f"{', '.join(names)} could not be made: no client was answered")


def _is_there(made: "Future[None]", patience_s: float, *, again: bool) -> bool:
    try:
        made.result(patience_s)
    except TimeoutError:
        return False
    except KafkaException as error:
        if not again or error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    return True
