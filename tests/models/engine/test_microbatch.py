from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.engine.microbatch import CALL_TOKENS, budget, pack, pack_tightly, padded, stack, width


@given(st.lists(st.integers(1, 256), max_size=80), st.integers(64, 2048))
def test_each_segment_is_packed_once_and_the_budget_holds(lengths: list[int], budget: int) -> None:
    batches = pack(lengths, max_padded_tokens=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        width = max(padded(lengths[index]) for index in batch)
        assert len(batch) == 1 or len(batch) * width <= budget


def test_segments_alike_in_length_share_a_micro_batch() -> None:
    assert pack([10, 200, 12, 190], max_padded_tokens=400) == [[1, 3], [2, 0]]


LENGTHS = st.lists(st.integers(1, 254), max_size=80)


@given(LENGTHS, st.integers(64, 2048))
def test_tight_micro_batches_hold_each_segment_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = pack_tightly(lengths, max_padded_tokens=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        widest = max(width(lengths[index]) for index in batch)
        assert width(lengths[batch[0]]) == widest, "the longest first"
        assert len(batch) == 1 or len(batch) * widest <= budget


def cost(batches: list[list[int]], lengths: list[int]) -> int:
    return sum(len(batch) * max(width(lengths[at]) for at in batch) + CALL_TOKENS for batch in batches)


@given(LENGTHS, st.integers(320, 2048))
def test_tight_micro_batches_cost_no_more_than_one_for_each_length(lengths: list[int], budget: int) -> None:
    classes = Counter(width(length) for length in lengths)
    n_calls = sum(-(-count // max(1, budget // each)) for each, count in classes.items())
    apart = sum(each * count for each, count in classes.items()) + CALL_TOKENS * n_calls
    assert cost(pack_tightly(lengths, max_padded_tokens=budget), lengths) <= apart


def test_few_segments_of_many_lengths_are_not_padded_to_the_longest() -> None:
    assert pack_tightly([250, 6, 6, 14], max_padded_tokens=1024) == [[0], [3, 1, 2]]


def test_rows_have_special_tokens_padding_and_a_mask() -> None:
    rows = [np.array([5, 6, 7], dtype=np.int32), np.array([8], dtype=np.int32)]
    ids, mask = stack(rows, cls_id=1, sep_id=2, pad_id=9, max_tokens=512)
    assert ids.tolist() == [[1, 5, 6, 7, 2, 9, 9, 9], [1, 8, 2, 9, 9, 9, 9, 9]]
    assert mask.sum(axis=1).tolist() == [5, 3]
    assert ids.dtype == mask.dtype == np.int32


def test_padding_stops_at_the_last_position_of_the_encoder() -> None:
    ids, _ = stack([np.zeros(9, dtype=np.int32)], cls_id=1, sep_id=2, pad_id=0, max_tokens=12)
    assert ids.shape == (1, 12)


@given(count=st.integers(1, 40), length=st.integers(1, 60), streams=st.integers(1, 8))
def test_a_small_window_is_shared_out_among_the_streams(count: int, length: int, streams: int) -> None:
    lengths = [length] * count
    most = budget(lengths, streams=streams, max_padded_tokens=10_000)
    batches = pack_tightly(lengths, max_padded_tokens=most)
    assert len(batches) >= min(count, streams) / 2
    largest = max(map(len, batches))
    assert largest <= -(-count // streams) + 1, "nobody has much more than its share"


def test_a_large_window_has_micro_batches_of_the_plans_size() -> None:
    assert budget([100] * 500, streams=2, max_padded_tokens=512) == 512
    assert budget([], streams=2, max_padded_tokens=512) == 0
