import pytest

from agents.prove.endings import mistakes


@pytest.mark.parametrize(
    "end",
    [
        "exit code 3, Fenced",
        "exit code 3, Fatal",
        "exit code 3, KafkaConnectionError",
        "exit code 3, ConnectionResetError",
        "exit code 3, gaierror",
        "exit code 3, SSLError",
        "exit code 3, MemoryError",
        "exit code 3, CancelledError (because of NodeNotReadyError)",
        "exit code 1, aiokafka.errors.KafkaConnectionError",
        "exit code 4, Kafka at 127.0.0.1",
        "exit code -9, without a word",
        "exit code -15, without a word",
        "had to be killed when it was told to leave",
    ],
)
def test_what_kafka_or_the_machine_explains_is_no_mistake_of_ours(end: str) -> None:
    assert mistakes({end: 2}) == {}


@pytest.mark.parametrize(
    "end",
    [
        "exit code 3, AssertionError",
        "exit code 3, AssertionError (because of KafkaConnectionError)",
        "exit code 1, KeyError",
        "exit code 3, InvalidStateError",
        "exit code 3, ValidationError (because of TypeError)",
        "exit code 3, error",
        "exit code 3, JSONEncodeError",
        "exit code 1, asyncio.exceptions.InvalidStateError",
        "exit code 3, CancelledError",
        "exit code 3, CancelledError (because of KeyError)",
        "exit code 3, EncodeError",
        "exit code 3, ",
        "exit code 1, without a word",
        "exit code 0, without a word",
        "exit code -11, without a word",
    ],
)
def test_what_nothing_explains_is_a_mistake_of_ours(end: str) -> None:
    assert mistakes({end: 2}) == {end: 2}
