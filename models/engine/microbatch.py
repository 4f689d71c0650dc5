"""Segments to micro-batches: alike in length, and no more padded tokens than a budget."""

from collections.abc import Sequence

import numpy as np

from models.engine.backend import Ints
from models.segments import SPECIAL_TOKENS

_MULTIPLE = 8  # lengths are padded to it: fewer shapes, and rows that suit the vector units


def padded(length: int) -> int:
    """Return the length that a segment takes in a micro-batch."""
    return -(-length // _MULTIPLE) * _MULTIPLE


def budget(lengths: Sequence[int], *, streams: int, max_padded_tokens: int) -> int:
    """Return the padded tokens of a micro-batch so that all streams have something to do in a small window too.

    A window that fits one micro-batch would else wait for one stream while the others have nothing to do.
    """
    widths = [padded(length) for length in lengths]
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
