"""An encoder with a head, as torch trains them, and the batches that they read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.features import N_FEATURES
from models.heads import ClassHead, EntityHead, Head
from models.segments import Segment
from models.tokenization import Tokenizer
from models.training.examples import IGNORED, Labels, Reading
from models.training.regression import Link
from models.training.states import hidden_states


@dataclass(frozen=True)
class Unit:
    """What a batch is made of: segments of one document that are learnt from together, and their labels.

    For entities one segment, ``labels`` by word; for classes the first segments of a document, ``labels`` by class.
    """

    reading: Reading
    segments: tuple[Segment, ...]
    labels: Labels

    @property
    def n_tokens(self) -> int:
        """Tokens of all segments."""
        return sum(segment.end - segment.start for segment in self.segments)


Floats = NDArray[np.float32]


class Network(nn.Module, ABC):
    """What ``finetune`` trains: an encoder and a linear head."""

    def __init__(self, encoder: nn.Module, head: nn.Linear, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    @abstractmethod
    def loss(self, units: Sequence[Unit]) -> Tensor:
        """Return the mean loss of a batch."""

    @abstractmethod
    def numpy_head(self) -> Head:
        """Return the head as it is served."""

    def hidden(self, rows: Sequence[tuple[Reading, Segment]]) -> list[Tensor]:
        """Return the hidden states of each segment's tokens, without special tokens and padding."""
        return hidden_states(self.encoder, rows, tokenizer=self._tokenizer, max_tokens=self._max_tokens)


class EntityNetwork(Network):
    """Classifies each word by the hidden state of its first token and its shape."""

    def __init__(
        self, encoder: nn.Module, tokenizer: Tokenizer, *, n_labels: int, width: int, max_tokens: int, dropout: float
    ) -> None:
        super().__init__(encoder, nn.Linear(width + N_FEATURES, n_labels), tokenizer, max_tokens=max_tokens)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.dropout = nn.Dropout(dropout)

    def loss(self, units: Sequence[Unit]) -> Tensor:
        """Return the mean cross entropy over the labelled words."""
        rows = [(unit.reading, unit.segments[0]) for unit in units]
        inputs, labels = [], []
        for unit, state in zip(units, self.hidden(rows), strict=True):
            segment = unit.segments[0]
            words = unit.reading.words_of(segment.start, segment.end)
            first = torch.from_numpy(unit.reading.word_tokens[words] - segment.start)
            features = torch.from_numpy(unit.reading.features[words])
            inputs.append(torch.cat([self.dropout(state[first]), features], dim=1))
            labels.append(torch.from_numpy(unit.labels[words]))
        return nn.functional.cross_entropy(self.head(torch.cat(inputs)), torch.cat(labels), ignore_index=IGNORED)

    def numpy_head(self) -> EntityHead:
        """Return the head as it is served."""
        return EntityHead(*_arrays(self.head))


class ClassNetwork(Network):
    """Classifies a document by the mean of its tokens' hidden states."""

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: Tokenizer,
        *,
        head: ClassHead,
        max_tokens: int,
        dropout: float,
        link: Link,
        label_weights: Floats | None,
    ) -> None:
        n_labels, width = head.weight.shape
        super().__init__(encoder, nn.Linear(width, n_labels), tokenizer, max_tokens=max_tokens)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weight))
            self.head.bias.copy_(torch.from_numpy(head.bias))
        self.dropout = nn.Dropout(dropout)
        self._link = link
        self._label_weights = None if label_weights is None else torch.from_numpy(label_weights)

    def loss(self, units: Sequence[Unit]) -> Tensor:
        """Return the mean loss over documents."""
        rows = [(unit.reading, segment) for unit in units for segment in unit.segments]
        states = iter(self.hidden(rows))
        pooled = [torch.cat([next(states) for _ in unit.segments]).mean(dim=0) for unit in units]
        targets = torch.from_numpy(np.stack([unit.labels for unit in units])).float()
        logits = self.head(self.dropout(torch.stack(pooled)))
        if self._link == "softmax":
            return nn.functional.cross_entropy(logits, targets, weight=self._label_weights)
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)

    def numpy_head(self) -> ClassHead:
        """Return the head as it is served."""
        return ClassHead(*_arrays(self.head))


def _arrays(head: nn.Linear) -> tuple[Floats, Floats]:
    return head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy()
