"""Heads: hidden states to logits, by numpy. Small enough that a hundred of them share one encoder.

The labels of an entity head are ``O`` and then ``B-`` and ``I-`` of each category, in the order of the manifest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.features import N_FEATURES
from schemas.errors import ArtefactCorrupt

Floats = NDArray[np.float32]


def entity_labels(categories: Sequence[str]) -> list[str]:
    """Return the labels of an entity head over ``categories``: O, then B- and I- of each."""
    return ["O", *(f"{prefix}-{category}" for category in categories for prefix in "BI")]


@dataclass(frozen=True, slots=True)
class EntityHead:
    """Linear over the hidden state and the shape features of a word's first token.

    Attributes:
        weight: Shape: (L, H + F).
        bias: Shape: (L,).
    """

    weight: Floats
    bias: Floats

    def logits(self, hidden: Floats, features: Floats) -> Floats:
        """Return the logits of each row.

        Args:
            hidden: Shape: (W, H).
            features: Shape: (W, F).

        Returns:
            Shape: (W, L).
        """
        width = hidden.shape[1]
        result: Floats = hidden @ self.weight[:, :width].T + features @ self.weight[:, width:].T + self.bias
        return result


@dataclass(frozen=True, slots=True)
class ClassHead:
    """Linear over the pooled hidden state of a document.

    Attributes:
        weight: Shape: (L, H), one row a category.
        bias: Shape: (L,).
    """

    weight: Floats
    bias: Floats

    def logits(self, pooled: Floats) -> Floats:
        """Return the logits of each document. Shape: (N, H) to (N, L)."""
        result: Floats = pooled @ self.weight.T + self.bias
        return result


Head = EntityHead | ClassHead


def save_head(head: Head) -> bytes:
    """Return the head as safetensors; the same head always gives the same bytes."""
    tensors = {"weight": head.weight, "bias": head.bias}
    return bytes(save({name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}))


def load_entity_head(data: bytes, *, n_categories: int, hidden_size: int) -> EntityHead:
    """Return the entity head in ``data``.

    Raises:
        ArtefactCorrupt: No safetensors, or of other shapes than the manifest says.
    """
    tensors = _tensors(data, shape=(1 + 2 * n_categories, hidden_size + N_FEATURES))
    return EntityHead(tensors["weight"], tensors["bias"])


def load_class_head(data: bytes, *, n_categories: int, hidden_size: int) -> ClassHead:
    """Return the class head in ``data``.

    Raises:
        ArtefactCorrupt: No safetensors, or of other shapes than the manifest says.
    """
    tensors = _tensors(data, shape=(n_categories, hidden_size))
    return ClassHead(tensors["weight"], tensors["bias"])


def _tensors(data: bytes, *, shape: tuple[int, int]) -> Mapping[str, Floats]:
    try:
        tensors: dict[str, Floats] = load(data)
    except (SafetensorError, ValueError) as error:
        raise ArtefactCorrupt(f"got a head that is no safetensors file: {error}") from error
    got = {name: tensor.shape for name, tensor in tensors.items()}
    expected = {"weight": shape, "bias": shape[:1]}
    if got != expected:
        raise ArtefactCorrupt(f"got a head of shapes {got}, expected {expected}")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise ArtefactCorrupt("got a head with values that are not finite numbers")
    return tensors
