from hypothesis import given
from hypothesis import strategies as st

from agents.prove import ledger as module
from agents.prove.ledger import DEAD, Ledger, Run

A, B = "sha256:a", "sha256:b"


def test_memory_does_not_grow_with_events_that_come_in_order() -> None:
    ledger = Ledger(100_000)
    for offset in range(100_000):
        assert ledger.note(offset, A if offset < 50_000 else B)
    assert ledger.complete
    assert (ledger.ahead, ledger.missing) == ({}, set())
    assert ledger.runs == [Run(A, 0, 49_999, 50_000), Run(B, 50_000, 99_999, 50_000)]


def test_what_comes_twice_is_told_whether_it_waits_or_is_done_with() -> None:
    ledger = Ledger(10)
    assert [ledger.note(offset, A) for offset in (0, 0, 5, 5)] == [True, False, True, False]


def test_dead_letters_belong_to_no_run() -> None:
    ledger = Ledger(4)
    for offset, digest in enumerate([A, DEAD, A, DEAD]):
        ledger.note(offset, digest)
    assert ledger.runs == [Run(A, 0, 2, 2)]
    assert ledger.complete


def test_what_never_came_is_lost_and_what_came_behind_it_counts() -> None:
    ledger = Ledger(6)
    for offset in (0, 2, 4):
        ledger.note(offset, A)
    assert not ledger.complete
    assert ledger.close() == [1, 3, 5]
    assert ledger.n_seen == 3
    assert ledger.runs[0].n_events == 3


def test_far_ahead_of_one_that_is_missing_it_counts_as_lost_and_may_still_come_late() -> None:
    n_events = module.MOST_AHEAD + 10
    ledger = Ledger(n_events)
    for offset in range(1, n_events):
        ledger.note(offset, A)
    assert len(ledger.ahead) == 0
    assert ledger.missing == {0}
    assert ledger.note(0, A)
    assert ledger.complete
    assert ledger.close() == []


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.lists(st.integers(0, 11)))
def test_in_any_order_it_finds_what_is_lost_and_what_is_twice(
    order: list[int], lost: set[int], twice: list[int]
) -> None:
    ledger = Ledger(12)
    came = [offset for offset in order if offset not in lost] + [offset for offset in twice if offset not in lost]
    n_again = sum(not ledger.note(offset, A) for offset in came)
    assert n_again == len(came) - len(set(came))
    assert ledger.n_seen == len(set(came))
    assert ledger.complete == (not lost)
    assert ledger.close() == sorted(lost)


def test_a_partition_is_cut_off_where_its_last_event_is_missing_and_not_where_another_is() -> None:
    for n_expected, seen, cut_off in ((3, (0, 2), False), (3, (0, 1), True), (3, (), True), (0, (), False)):
        ledger = Ledger(n_expected)
        for offset in seen:
            ledger.note(offset, A)
        ledger.close()
        assert ledger.cut_off == cut_off
