"""Which events a window takes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agents.hotloop.window import Bounds, plan_window
from agents.lanes import Priority

INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK


@dataclass
class Waits:
    n_tokens: int
    arrival: int


def waiting(*tokens: int, first: int = 0) -> list[Waits]:
    return [Waits(n, first + i) for i, n in enumerate(tokens)]


def test_nothing_waits() -> None:
    assert plan_window([], Bounds(8, 100)) == []
    assert plan_window([(BULK, [])], Bounds(8, 100)) == [0]


def test_a_lone_document_is_taken_at_once() -> None:
    assert plan_window([(BULK, waiting(10)), (BULK, [])], Bounds(8, 100)) == [1, 0]


def test_a_document_longer_than_the_window_is_taken_alone() -> None:
    assert plan_window([(BULK, waiting(1000, 10))], Bounds(8, 100)) == [1]


def test_the_window_is_bounded_by_documents_and_by_tokens() -> None:
    assert plan_window([(BULK, waiting(*[1] * 20))], Bounds(8, 100)) == [8]
    assert plan_window([(BULK, waiting(*[30] * 20))], Bounds(8, 100)) == [3]


def test_the_interactive_lane_goes_first_and_leaves_a_quarter() -> None:
    queues = [(BULK, waiting(*[1] * 20)), (INTERACTIVE, waiting(*[1] * 20, first=100))]
    assert plan_window(queues, Bounds(8, 100)) == [2, 6]


def test_the_interactive_lane_takes_all_when_nothing_else_waits() -> None:
    assert plan_window([(BULK, []), (INTERACTIVE, waiting(*[1] * 20))], Bounds(8, 100)) == [0, 8]


def test_the_bulk_lane_takes_what_the_interactive_lane_leaves() -> None:
    assert plan_window([(BULK, waiting(*[1] * 20)), (INTERACTIVE, waiting(1, 1))], Bounds(8, 100)) == [6, 2]


def test_within_a_lane_the_oldest_goes_first() -> None:
    queues = [(BULK, [Waits(1, 5), Waits(1, 6)]), (BULK, [Waits(1, 1), Waits(1, 2), Waits(1, 9)])]
    assert plan_window(queues, Bounds(3, 100)) == [1, 2]


queue = st.tuples(st.sampled_from(Priority), st.lists(st.integers(1, 500), max_size=30))


@given(st.lists(queue, max_size=6), st.integers(1, 40), st.integers(1, 600))
def test_every_window_keeps_its_promises(given_queues: list[tuple[Priority, list[int]]], n: int, tokens: int) -> None:
    queues = [(priority, waiting(*sizes, first=1000 * i)) for i, (priority, sizes) in enumerate(given_queues)]
    bounds = Bounds(n, tokens)
    counts = plan_window(queues, bounds)
    taken = {
        lane: [w for (p, ws), k in zip(queues, counts, strict=True) for w in ws[:k] if p is lane] for lane in Priority
    }
    for lane in Priority:
        waits = any(ws for p, ws in queues if p is lane)
        assert bool(taken[lane]) == waits, "a lane with something waiting always moves"
    both = bool(taken[BULK] and taken[INTERACTIVE])
    single = [len(each) == 1 for each in taken.values() if each]
    assert sum(map(len, taken.values())) <= max(n, 2 if both else 1)
    total = sum(w.n_tokens for each in taken.values() for w in each)
    assert total <= tokens or any(single)
    if both and sum(len(ws) for p, ws in queues if p is BULK) > len(taken[BULK]):
        next_one = min(
            (ws[k] for (p, ws), k in zip(queues, counts, strict=True) if p is BULK and k < len(ws)),
            key=lambda w: w.arrival,
        )
        full_tokens = sum(w.n_tokens for w in taken[BULK]) + next_one.n_tokens > tokens // 4
        assert full_tokens or len(taken[BULK]) >= max(1, n // 4), "the bulk lane gets at least its quarter"
