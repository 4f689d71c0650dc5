"""Segments to micro-batches: alike in length, and no more padded tokens than a budget."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from models.engine.backend import Ints
from models.segments import SPECIAL_TOKENS

_MULTIPLE = 8  # lengths are padded to it: fewer shapes, and rows that suit the vector units

CALL_TOKENS = 16
"""What a forward pass costs beside its tokens, in tokens. Measured: 10 (OpenVINO, one core) to 20 (two cores)."""


def padded(length: int) -> int:
    """Return the length that a segment takes in a micro-batch."""
    return -(-length // _MULTIPLE) * _MULTIPLE


def width(length: int) -> int:
    """Return the padded length of a row that holds a segment and its special tokens."""
    return padded(length + SPECIAL_TOKENS)


def budget(lengths: Sequence[int], *, streams: int, max_padded_tokens: int) -> int:
    """Return the padded tokens of a micro-batch so that all streams have something to do in a small window too.

    A window that fits one micro-batch would else wait for one stream while the others have nothing to do.
    """
    widths = [width(length) for length in lengths]
    share = -(-sum(widths) // streams)
    return min(max_padded_tokens, share + max(widths, default=0) // 2)


def pack(lengths: Sequence[int], *, max_padded_tokens: int) -> list[list[int]]:
    """Return micro-batches as lists of indices into ``lengths``, the longest first.

    A segment that is longer than the budget is a micro-batch of its own.
    """
    batches: list[list[int]] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        if not batches or (len(batches[-1]) + 1) * width > max_padded_tokens:
            batches.append([])
            width = padded(lengths[index])
        batches[-1].append(index)
    return batches


def pack_tightly(lengths: Sequence[int], *, max_padded_tokens: int) -> list[list[int]]:
    """Return micro-batches as ``pack`` does, but more of them where the padding saved is worth more than the calls.

    Few segments of many lengths, as in a small window, would else be half padding.
    """
    by_width: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        by_width[width(length)].append(index)
    widths = sorted(by_width, reverse=True)
    batches = []
    for start, end in _runs([(each, len(by_width[each])) for each in widths], max_padded_tokens=max_padded_tokens):
        most = max(1, max_padded_tokens // widths[start])
        rows = [index for each in widths[start:end] for index in by_width[each]]
        batches += [rows[at : at + most] for at in range(0, len(rows), most)]
    return batches


def _runs(classes: Sequence[tuple[int, int]], *, max_padded_tokens: int) -> list[tuple[int, int]]:
    """Return which neighbouring classes to read at the width of the widest, as slices, for the least cost in all.

    Args:
        classes: Width and number of rows, the widest first.
        max_padded_tokens: Of a micro-batch.
    """
    cheapest, begins = [0], [0]
    for end in range(1, len(classes) + 1):
        best, n_rows = (-1, end), 0
        for start in range(end - 1, -1, -1):
            n_rows += classes[start][1]
            widest = classes[start][0]
            n_calls = -(-n_rows // max(1, max_padded_tokens // widest))
            cost = cheapest[start] + n_rows * widest + n_calls * CALL_TOKENS
            if best[0] < 0 or cost <= best[0]:
                best = cost, start
        cheapest.append(best[0])
        begins.append(best[1])
    runs, end = [], len(classes)
    while end:
        runs.append((begins[end], end))
        end = begins[end]
    return runs[::-1]


def stack(rows: Sequence[Ints], *, cls_id: int, sep_id: int, pad_id: int, max_tokens: int) -> tuple[Ints, Ints]:
    """Return ids and mask of a micro-batch: special tokens around each row, padding behind, up to ``max_tokens``.

    Shape of both: (B, T).
    """
    lengths = [len(row) + SPECIAL_TOKENS for row in rows]
    ids = np.full((len(rows), min(padded(max(lengths)), max_tokens)), pad_id, dtype=np.int32)
    mask = np.zeros_like(ids)
    for at, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        ids[at, 0] = cls_id
        ids[at, 1 : length - 1] = row
        ids[at, length - 1] = sep_id
        mask[at, :length] = 1
    return ids, mask
