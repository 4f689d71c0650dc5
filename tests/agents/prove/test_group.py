import pytest

from agents.prove.group import Lag, lag

ENDS = {("documents", 0): 10, ("documents", 1): 10, ("requests", 0): 0}


@pytest.mark.parametrize(
    ("committed", "found"),
    [
        ({("documents", 0): 10, ("documents", 1): 10}, Lag()),
        ({("documents", 0): 10}, Lag(n_behind=10)),
        ({("documents", 0): 12, ("documents", 1): 10}, Lag(n_beyond=2)),
        ({("documents", 0): 12, ("documents", 1): 8}, Lag(n_behind=2, n_beyond=2)),
        ({("documents", 0): 10, ("documents", 1): 10, ("requests", 0): 1}, Lag(n_beyond=1)),
    ],
)
def test_what_is_committed_too_far_in_one_partition_hides_nothing_in_another(
    committed: dict[tuple[str, int], int], found: Lag
) -> None:
    assert lag(ENDS, committed) == found
