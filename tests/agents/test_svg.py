from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.svg import rounded


@pytest.mark.parametrize(
    ("most", "end"), [(464, 500), (24_015, 25_000), (9_000, 10_000), (1, 1), (0.3, 0.5), (501, 1000)]
)
def test_an_axis_ends_at_a_round_number(most: float, end: float) -> None:
    assert isclose(rounded(most), end)


@given(st.floats(1e-3, 1e9), st.integers(1, 9))
def test_an_axis_holds_what_is_shown_and_is_at_least_two_fifths_full(most: float, places: int) -> None:
    assert most <= rounded(most, places) * (1 + 1e-9)
    assert rounded(most, places) <= 2.5 * most
