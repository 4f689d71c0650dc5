"""Errors of the Kafka client in words: which broker, and what to check."""

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)
from aiokafka.protocol.metadata import MetadataRequest

from agents.kafka_words import in_words


async def test_a_dead_broker_is_named_as_the_client_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_ready(*_: object, **__: object) -> bool:
        return False

    client = AIOKafkaClient()
    monkeypatch.setattr(client, "ready", not_ready)
    with pytest.raises(NodeNotReadyError) as caught:
        await client.send(3, MetadataRequest([]))
    assert in_words(caught.value) == "Kafka's broker 3 cannot be reached; check that it runs"
    await client.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NodeNotReadyError(), "a broker of Kafka cannot be reached; check"),
        (
            KafkaConnectionError("Connection at kafka-2:9093 closed"),
            "a broker of Kafka cannot be reached: Connection at kafka-2:9093 closed; check",
        ),
        (KafkaConnectionError("Unable to bootstrap from [('a', 1, 0)]"), "no Kafka answers; check that its brokers"),
        (TimeoutError(), "did not answer in time"),
        (RequestTimedOutError(), "did not answer in time"),
        (KafkaTimeoutError(), "did not answer in time"),
        (ClusterAuthorizationFailedError(), "Kafka says: "),
    ],
    ids=repr,
)
def test_what_is_known_is_said_without_the_name_of_a_class(error: Exception, words: str) -> None:
    said = in_words(error)
    assert words in said
    assert type(error).__name__ not in said
    assert "[(" not in said
    assert "in part" not in said, "nothing tells us that there are others"


def test_an_error_that_says_nothing_is_told_by_its_class() -> None:
    assert in_words(KafkaError()) == "Kafka says: KafkaError; see the broker's log"
