import pytest

from agents.bench.stats import f1, how_many, median_ratio, miscounted, n_different, percentile, round_order, shares

ONE = frozenset({("Rent", 3, 4)})
TWO = frozenset({("Rent", 3, 4), ("Tenant", 9, 2)})


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 0.99) == 0.0


def test_a_round_that_was_slow_for_both_leaves_the_ratio_alone() -> None:
    assert median_ratio([90.0, 9.0, 92.0], [100.0, 10.0, 100.0]) == pytest.approx(0.9)


def test_ratio_over_nothing_measured_is_zero() -> None:
    assert median_ratio([5.0], [0.0]) == 0.0


def test_documents_with_other_spans_are_counted() -> None:
    assert n_different({"a": ONE, "b": TWO}, {"a": ONE, "b": ONE, "c": ONE}) == 1


def test_f1_counts_common_spans_once_for_each_side() -> None:
    assert f1({"a": ONE}, {"a": TWO}) == pytest.approx(2 / 3)
    assert f1({"a": frozenset()}, {"a": frozenset()}) == 1.0


def test_lost_and_superfluous_outputs_are_counted() -> None:
    assert miscounted(["a", "b", "c"], ["a", "a", "b", "x"]) == (1, 2)
    assert miscounted(["a", "b"], ["b", "a"]) == (0, 0)


def test_shares_add_up_to_one_and_begin_with_the_largest() -> None:
    found = shares({"commit": 1.0, "forward": 3.0})
    assert list(found.items()) == [("forward", 0.75), ("commit", 0.25)]
    assert shares({"commit": 0.0}) == {}


def test_everybody_begins_a_round_in_turn() -> None:
    assert [round_order("abc", number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert sorted(round_order("abc", 2)) == ["a", "b", "c"]


def test_documents_come_in_whole_blocks_within_bounds() -> None:
    assert how_many(140.0, 6.0, block=100) == 800
    assert how_many(3.0, 5.0, block=100) == 100
    assert how_many(1e6, 6.0, block=100) == 20_000
