"""What an error of the Kafka client means, in words for people: which broker does not answer, and what to check."""

import re

from aiokafka.errors import (
    BrokerResponseError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

_NODE = re.compile(r"node id (\d+)")
_NOWHERE = "Unable to bootstrap"


def in_words(error: Exception) -> str:
    """Return what was got and what to check. The name of a class comes only where nothing better is known."""
    said = " ".join(map(str, error.args))
    match error:
        case NodeNotReadyError():
            return f"{_broker(said)} cannot be reached; check that it runs"
        case KafkaConnectionError() if said.startswith(_NOWHERE):
            return "no Kafka answers; check that its brokers run, and --brokers"
        case KafkaConnectionError() if said:
            return f"a broker of Kafka cannot be reached: {said}; check that it runs"
        case TimeoutError() | RequestTimedOutError() | KafkaTimeoutError():
            return "Kafka did not answer in time; check that all of its brokers run"
        case BrokerResponseError() if not said and error.description:
            return f"Kafka says: {error.description.rstrip('.')}; see the broker's log"
    return f"Kafka says: {said or type(error).__name__}; see the broker's log"


def _broker(said: str) -> str:
    found = _NODE.search(said)
    return f"Kafka's broker {found[1]}" if found else "a broker of Kafka"
