"""Which events a window takes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agents.hotloop.window import Bounds, plan_window


@dataclass
class Waits:
    n_tokens: int


def waiting(*tokens: int) -> list[Waits]:
    return [Waits(n) for n in tokens]


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


def test_another_partition_is_begun_only_while_it_is_not_enough() -> None:
    assert plan_window([waiting(1, 1, 1), waiting(1, 1), waiting(1)], Bounds(8, 100, enough=0.5)) == [3, 2, 0]
    assert plan_window([waiting(60), waiting(1)], Bounds(8, 100, enough=0.5)) == [1, 0]


def test_a_partition_gives_more_than_enough() -> None:
    assert plan_window([waiting(*[1] * 7), waiting(1)], Bounds(8, 100, enough=0.5)) == [7, 0]


@given(
    st.lists(st.lists(st.integers(1, 500), max_size=30), max_size=6),
    st.integers(1, 40),
    st.integers(1, 600),
    st.floats(0.0, 1.0, exclude_min=True),
)
def test_every_window_keeps_its_promises(sizes: list[list[int]], n: int, tokens: int, enough: float) -> None:
    bounds = Bounds(n, tokens, enough=enough)
    queues = [waiting(*each) for each in sizes]
    counts = plan_window(queues, bounds)
    taken = [w for queue, count in zip(queues, counts, strict=True) for w in queue[:count]]
    n_tokens = sum(w.n_tokens for w in taken)
    assert bool(taken) == any(queues), "something always moves"
    assert len(taken) <= n
    assert n_tokens <= tokens or len(taken) == 1
    left = [
        (index, queue[count]) for index, (queue, count) in enumerate(zip(queues, counts, strict=True)) if queue[count:]
    ]
    if left:
        index, following = left[0]
        full = len(taken) == n or n_tokens + following.n_tokens > tokens
        assert full or bounds.is_enough(len(taken), n_tokens), "it takes as much as it may"
        assert not any(counts[index + 1 :]), "one partition after the other"
