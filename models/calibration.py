"""Confidences that can be believed: temperature scaling, and thresholds for multi-label classes. Plain numpy.

Temperature scaling: Guo et al. 2017, https://arxiv.org/abs/1706.04599.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Flags = NDArray[np.bool_]

_LOWEST, _HIGHEST = 0.05, 20.0
_N_STEPS = 60
_PRIOR_WEIGHT = 5.0
"""How many examples the default threshold weighs against: with few labels, thresholds stay near it."""


def fit_temperature(logits: Floats, targets: Ints | Flags, *, link: Literal["softmax", "sigmoid"] = "softmax") -> float:
    """Return the temperature under which held-out ``targets`` are likeliest; 1 without any.

    Args:
        logits: Shape: (N, L).
        targets: For ``softmax`` the label of each row, shape (N,); for ``sigmoid`` flags of shape (N, L).
        link: What turns logits into probabilities.
    """
    if not len(logits):
        return 1.0
    loss = _softmax_loss if link == "softmax" else _sigmoid_loss
    values = logits.astype(np.float64)
    best = _golden(lambda log: loss(values / np.exp(log), targets), np.log(_LOWEST), np.log(_HIGHEST))
    return round(float(np.exp(best)), 4)


def fit_thresholds(probabilities: Floats, targets: Flags, *, default: float = 0.5) -> list[float]:
    """Return for each class the threshold with the best F1 on held-out documents.

    F1 is smoothed, so that a class with few labels stays near ``default``.

    Args:
        probabilities: Shape: (N, C).
        targets: Shape: (N, C).
        default: The threshold that nothing speaks against.
    """
    return [
        _threshold(probabilities[:, number], targets[:, number], default=default)
        for number in range(probabilities.shape[1])
    ]


def _threshold(probabilities: Floats, targets: Flags, *, default: float) -> float:
    n_positive = int(targets.sum())
    if n_positive == 0:
        return default
    values = np.unique(np.concatenate([probabilities, [default]]))
    candidates = np.clip(np.append((values[:-1] + values[1:]) / 2, default), 0.02, 0.98)
    found = probabilities[None, :] >= candidates[:, None]
    right = (found & targets).sum(axis=1)
    f1 = 2 * right / np.maximum(found.sum(axis=1) + n_positive, 1)
    best = float(candidates[np.lexsort((np.abs(candidates - default), -f1))[0]])
    return round((best * n_positive + default * _PRIOR_WEIGHT) / (n_positive + _PRIOR_WEIGHT), 4)


def _softmax_loss(logits: Floats, targets: Ints | Flags) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    return float((log_total - shifted[np.arange(len(targets)), targets.astype(np.int64)]).mean())


def _sigmoid_loss(logits: Floats, targets: Ints | Flags) -> float:
    return float((np.logaddexp(0, logits) - logits * targets).mean())


def _golden(loss: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search for the lowest point of a function with one valley."""
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(_N_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return (low + high) / 2
