"""Which of the deployed models were used, by what the log says."""

import pytest

from benchmarks.soak.swaps import Swap, Switched, held_against

DIGESTS = {"v1": "a", "v2": "b", "v3": "c"}
LABELS = list(DIGESTS)


def swap(number: int, at_s: float, seconds: float | None = 4.0, problem: str = "") -> Swap:
    return Swap(at_s, LABELS[number % 3], seconds, problem)


def switched(number: int, at_s: float, *partitions: int) -> list[Switched]:
    return [Switched(at_s, DIGESTS[LABELS[number % 3]], ("in", partition)) for partition in partitions or (0, 1)]


def test_partitions_are_counted_for_the_swap_that_they_followed() -> None:
    # v1 comes again as the fourth; one partition follows late, and one twice.
    swaps = [swap(number, 40.0 * number) for number in range(4)]
    log = [
        *switched(0, 0.0), *switched(1, 45.0, 0), *switched(1, 81.0, 1), *switched(2, 85.0), *switched(3, 125.0, 0, 0),
    ]  # fmt: skip
    held = held_against(swaps, log, digests=DIGESTS, until_s=200.0)
    assert [each.n_partitions for each in held] == [2, 2, 2, 1]
    assert not any(each.problem for each in held)


def test_a_model_that_nothing_went_on_with_though_there_was_time_is_a_problem() -> None:
    held = held_against([swap(0, 0.0), swap(1, 40.0), swap(2, 80.0)], switched(0, 0.0), digests=DIGESTS, until_s=200.0)
    assert [each.problem for each in held] == [
        "", "no partition went on with it within 36 s", "no partition went on with it within 116 s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("swaps", "until_s"),
    [
        ([swap(0, 0.0), swap(1, 40.0, 30.0), swap(2, 80.0)], 100.0),  # overtaken, and at the very end
        ([swap(0, 0.0), swap(1, 40.0)], 50.0),  # nothing came out since
        ([swap(0, 0.0)], 2.0),
        ([], 0.0),
    ],
)
def test_one_that_had_no_time_is_not(swaps: list[Swap], until_s: float) -> None:
    held = held_against(swaps, switched(0, 0.0), digests=DIGESTS, until_s=until_s)
    assert [each.problem for each in held] == [""] * len(swaps)


def test_one_that_no_worker_served_keeps_its_own_problem() -> None:
    [held] = held_against([swap(0, 0.0, None, "nobody answers")], [], digests=DIGESTS, until_s=500.0)
    assert held.problem == "nobody answers"
