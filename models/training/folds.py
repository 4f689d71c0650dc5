"""Folds for cross-fitting: every document is held out once, so that small sets lose none."""

import numpy as np
from numpy.typing import NDArray


def fold_numbers(targets: NDArray[np.bool_], *, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Return each document's fold; documents with the same classes are spread evenly over the folds.

    Args:
        targets: Which classes each document has. Shape: (N, C).
        n_folds: How many folds; no more than documents are made.
        seed: Of the order.
    """
    order = np.random.default_rng(seed).permutation(len(targets))
    alike = np.lexsort(targets[order].T[::-1]) if targets.shape[1] else np.arange(len(targets))
    folds = np.empty(len(targets), dtype=np.int64)
    folds[order[alike]] = np.arange(len(targets)) % min(n_folds, len(targets))
    return folds
