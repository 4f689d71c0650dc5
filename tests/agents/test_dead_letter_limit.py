"""The limit that stops a worker when everything turns bad."""

import re
from collections import Counter

import pytest

from agents.hotloop.dead_letter_limit import DeadLetterLimit
from schemas.errors import DeadLetterLimitExceeded


def commit(limit: DeadLetterLimit, n_events: int, n_dead: int, reason: str = "DecodeError") -> None:
    with limit.counted(n_events, Counter({reason: n_dead} if n_dead else {})):
        pass


def test_there_is_no_verdict_before_a_thousand_events() -> None:
    limit = DeadLetterLimit(0.5)
    commit(limit, 999, 999)
    with pytest.raises(DeadLetterLimitExceeded, match=re.escape("1,000 of the last 1,000 events")):
        commit(limit, 1, 1)


def test_the_last_thousand_count_and_no_others() -> None:
    limit = DeadLetterLimit(0.5)
    for _ in range(50):
        commit(limit, 100, 0)
    for _ in range(5):
        commit(limit, 100, 100)
    with pytest.raises(DeadLetterLimitExceeded):
        commit(limit, 100, 100)


def test_a_window_that_alone_is_a_thousand_is_judged_alone() -> None:
    limit = DeadLetterLimit(0.5)
    commit(limit, 5000, 0)
    with pytest.raises(DeadLetterLimitExceeded):
        commit(limit, 1000, 501)


def test_a_transaction_that_was_aborted_and_done_again_counts_once() -> None:
    limit = DeadLetterLimit(0.5)
    commit(limit, 500, 0)
    for _ in range(10):
        with pytest.raises(ConnectionError), limit.counted(400, Counter(DecodeError=400)):
            raise ConnectionError
    commit(limit, 400, 400)
    commit(limit, 100, 100)
    with pytest.raises(DeadLetterLimitExceeded, match="501 of the last 1,001"):
        commit(limit, 1, 1)


def test_windows_that_are_in_flight_at_the_same_time_are_counted_together() -> None:
    limit = DeadLetterLimit(0.5)
    with limit.counted(600, Counter(DecodeError=600)), pytest.raises(DeadLetterLimitExceeded):
        commit(limit, 600, 600)


def test_it_says_in_one_line_what_went_wrong_and_what_to_do() -> None:
    limit = DeadLetterLimit(0.25)
    commit(limit, 990, 100, "TasksFailed")
    with pytest.raises(DeadLetterLimitExceeded) as error:
        commit(limit, 300, 300, "ModelError")
    said = str(error.value)
    assert said.startswith("400 of the last 1,290 events became dead letters (300 ModelError, 100 TasksFailed), ")
    assert "expected at most 25%" in said
    assert "`lexstream dead-letters list`" in said
    assert "dead_letter_limit" in said
    assert "\n" not in said
