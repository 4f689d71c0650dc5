"""Logistic regression over fixed inputs: softmax for labels that exclude each other, sigmoid for those that do not.

All labels at once by L-BFGS, so a hundred classes cost little more than two.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Link = Literal["softmax", "sigmoid"]

_MAX_ITERATIONS = 200


@dataclass(frozen=True)
class Linear:
    """A fitted regression. Shapes: weight (L, H), bias (L,)."""

    weight: Floats
    bias: Floats

    def logits(self, inputs: Floats) -> Floats:
        """Return the logits of each row. Shape: (N, H) to (N, L)."""
        result: Floats = inputs @ self.weight.T + self.bias
        return result


def fit(
    inputs: Floats, targets: Flags, *, link: Link, strength: float = 10.0, label_weights: Floats | None = None
) -> Linear:
    """Return the regression of ``targets`` (N, L) on ``inputs`` (N, H).

    Args:
        inputs: They are centred inside.
        targets: One true flag a row for ``softmax``, any number for ``sigmoid``.
        link: How labels relate.
        strength: The inverse of the penalty on the weights, as C in scikit-learn.
        label_weights: How much an example of each label counts. Shape: (L,).
    """
    centre = inputs.mean(axis=0)
    rows = torch.from_numpy(inputs - centre)
    wanted = torch.from_numpy(targets.astype(np.float32))
    weights = torch.ones(wanted.shape[1]) if label_weights is None else torch.from_numpy(label_weights)
    weight, bias = _minimise(rows, wanted, weights, link=link, penalty=0.5 / strength)
    return Linear(weight, (bias - weight @ centre).astype(np.float32))


def balanced(targets: Flags, *, tolerance: float = 3.0) -> Floats | None:
    """Return weights that make rare labels count as much as frequent ones; nothing if none is rare."""
    counts = targets.sum(axis=0).astype(np.float32)
    present = counts[counts > 0]
    if not len(present) or present.max() <= tolerance * present.min():
        return None
    weights: Floats = (np.sqrt(present.mean() / np.maximum(counts, 1))).astype(np.float32)
    return weights


def _minimise(
    rows: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor, *, link: Link, penalty: float
) -> tuple[Floats, Floats]:
    weight = torch.zeros(wanted.shape[1], rows.shape[1], requires_grad=True)
    bias = torch.zeros(wanted.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = rows @ weight.T + bias
        total = _likelihood(logits, wanted, weights, link) + penalty * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy(), bias.detach().numpy()


def _likelihood(logits: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor, link: Link) -> torch.Tensor:
    if link == "softmax":
        return torch.nn.functional.cross_entropy(logits, wanted, weight=weights, reduction="sum")
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights, reduction="sum")
