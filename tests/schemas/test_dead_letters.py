import pytest

from schemas.dead_letters import (
    REPLAY_ATTEMPTS,
    REPLAYED_FROM,
    DeadLetter,
    Headers,
    dead_letter_headers,
    is_replayed,
    original_headers,
    replay_attempts,
    replay_headers,
)
from schemas.errors import DecodeError, InvalidEvent

ORIGINAL: Headers = [("traceparent", b"00-ab"), ("x", b"\xff"), ("x", b"second")]


def headers_of(error: DecodeError | InvalidEvent, original: Headers = ORIGINAL) -> Headers:
    return dead_letter_headers(
        original, topic="orders", partition=3, offset=1041, timestamp_ms=1_767_607_200_123, error=error
    )


def test_headers_follow_the_convention_of_kafka_connect() -> None:
    assert headers_of(InvalidEvent("id: missing"))[len(ORIGINAL) :] == [
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"1041"),
        ("__connect.errors.timestamp", b"1767607200123"),
        ("__connect.errors.stage", b"validate"),
        ("__connect.errors.exception.class.name", b"InvalidEvent"),
        ("__connect.errors.exception.message", b"id: missing"),
    ]


def test_what_was_written_is_read() -> None:
    assert DeadLetter.from_headers(headers_of(DecodeError("schön"))) == DeadLetter(
        "orders", 3, 1041, 1_767_607_200_123, "decode", "DecodeError", "schön"
    )


def test_original_headers_survive_in_order_and_come_back_on_replay() -> None:
    headers = headers_of(DecodeError("broken"))
    assert headers[: len(ORIGINAL)] == ORIGINAL
    assert original_headers(headers) == ORIGINAL


def test_a_replayed_dead_letter_that_fails_again_has_one_set_of_headers() -> None:
    again = headers_of(InvalidEvent("second"), original_headers(headers_of(DecodeError("first"))))
    assert len(again) == len(ORIGINAL) + 7
    assert DeadLetter.from_headers(again).message == "second"


def test_message_is_bounded_and_always_text() -> None:
    letter = DeadLetter.from_headers(headers_of(DecodeError("\ud800" * 10_000)))
    assert letter.message == "?" * 500


def test_foreign_headers_are_refused_by_name() -> None:
    with pytest.raises(DecodeError, match=r"__connect\.errors\.stage"):
        DeadLetter.from_headers([h for h in headers_of(DecodeError("x")) if "stage" not in h[0]])


def test_a_number_that_is_none_is_refused() -> None:
    bad = [(name, b"many" if name.endswith("offset") else value) for name, value in headers_of(DecodeError("x"))]
    with pytest.raises(DecodeError, match="expected numbers"):
        DeadLetter.from_headers(bad)


def test_somebody_elses_dead_letter_keeps_the_headers_it_came_with() -> None:
    theirs = [("__connect.errors.topic", b"theirs"), ("a", b"1"), ("__connect.errors.stage", b"KEY_CONVERTER")]
    headers = dead_letter_headers(theirs, topic="ours", partition=0, offset=1, timestamp_ms=2, error=InvalidEvent("no"))
    assert headers[:3] == theirs
    assert DeadLetter.from_headers(headers).topic == "ours"
    assert original_headers(headers) == theirs


def test_each_replay_is_counted_in_the_headers_and_names_its_letter() -> None:
    first = replay_headers(headers_of(DecodeError("first")), letter="dead/3/7")
    assert first == [*ORIGINAL, (REPLAYED_FROM, b"dead/3/7"), (REPLAY_ATTEMPTS, b"1")]
    second = replay_headers(headers_of(InvalidEvent("second"), first), letter="dead/3/9")
    assert second == [*ORIGINAL, (REPLAYED_FROM, b"dead/3/9"), (REPLAY_ATTEMPTS, b"2")]
    assert not is_replayed(ORIGINAL)
    assert is_replayed(headers_of(InvalidEvent("second"), first))


@pytest.mark.parametrize("value", [b"", b"-1", b"many", b"1" * 5000, b"\xff", "٣".encode()])
def test_a_number_of_attempts_that_is_none_counts_as_none(value: bytes) -> None:
    assert replay_attempts([(REPLAY_ATTEMPTS, value)]) == 0
