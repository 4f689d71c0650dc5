"""Which events a window takes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agents.hotloop.window import Bounds, plan_window


@dataclass
class Waits:
    n_tokens: int
    arrival: int


def waiting(*tokens: int, first: int = 0) -> list[Waits]:
    return [Waits(n, first + i) for i, n in enumerate(tokens)]


def test_nothing_waits() -> None:
    assert plan_window([], Bounds(8, 100)) == []
    assert plan_window([[]], Bounds(8, 100)) == [0]


def test_a_lone_document_is_taken_at_once() -> None:
    assert plan_window([waiting(10), []], Bounds(8, 100)) == [1, 0]


def test_a_document_longer_than_the_window_is_taken_alone() -> None:
    assert plan_window([waiting(1000, 10)], Bounds(8, 100)) == [1]


def test_the_window_is_bounded_by_documents_and_by_tokens() -> None:
    assert plan_window([waiting(*[1] * 20)], Bounds(8, 100)) == [8]
    assert plan_window([waiting(*[30] * 20)], Bounds(8, 100)) == [3]


def test_the_oldest_goes_first() -> None:
    queues = [[Waits(1, 5), Waits(1, 6)], [Waits(1, 1), Waits(1, 2), Waits(1, 9)]]
    assert plan_window(queues, Bounds(3, 100)) == [1, 2]


@given(st.lists(st.lists(st.integers(1, 500), max_size=30), max_size=6), st.integers(1, 40), st.integers(1, 600))
def test_every_window_keeps_its_promises(sizes: list[list[int]], n: int, tokens: int) -> None:
    queues = [waiting(*each, first=1000 * i) for i, each in enumerate(sizes)]
    counts = plan_window(queues, Bounds(n, tokens))
    taken = [w for queue, count in zip(queues, counts, strict=True) for w in queue[:count]]
    left = [queue[count] for queue, count in zip(queues, counts, strict=True) if count < len(queue)]
    assert bool(taken) == any(queues), "something always moves"
    assert len(taken) <= n
    assert sum(w.n_tokens for w in taken) <= tokens or len(taken) == 1
    if left:
        following = min(left, key=lambda w: w.arrival)
        assert all(w.arrival < following.arrival for w in taken)
        full = len(taken) == n or sum(w.n_tokens for w in taken) + following.n_tokens > tokens
        assert full, "it takes as much as it may"
