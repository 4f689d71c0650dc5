"""Documents to what an encoder trains on: segments as they are cut when serving, with a label for each word.

Words outside the labelled regions have no label, so nothing is learnt from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.features import word_features
from models.heads import entity_labels
from models.manifest import Decoding
from models.segments import Segment, cut
from models.tokenization import Tokenizer, Tokens
from schemas.labels import LabelledDocument, Region

IGNORED = -100
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """A document as a tokenizer reads it, cut into segments."""

    document: LabelledDocument
    tokens: Tokens
    segments: tuple[Segment, ...]

    @cached_property
    def word_tokens(self) -> NDArray[np.int64]:
        """The first token of each word. Shape: (W,)."""
        return np.flatnonzero(self.tokens.word_starts)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """The shape features of each word. Shape: (W, F)."""
        return word_features(self.document.text, self.tokens)

    def words_of(self, start: int, end: int) -> slice:
        """Return which words begin in the tokens ``start`` to ``end``."""
        low, high = np.searchsorted(self.word_tokens, (start, end))
        return slice(int(low), int(high))


def read_documents(documents: Sequence[LabelledDocument], tokenizer: Tokenizer, *, decoding: Decoding) -> list[Reading]:
    """Return the documents, tokenised and cut, in order."""
    return [
        Reading(
            document,
            tokens,
            tuple(cut(tokens, document.text, max_tokens=decoding.max_tokens, overlap=decoding.overlap)),
        )
        for document, tokens in zip(documents, tokenizer.encode([each.text for each in documents]), strict=True)
    ]


def word_labels(reading: Reading, categories: Sequence[str]) -> Labels:
    """Return the label of each word, ``IGNORED`` outside the regions. Shape: (W,)."""
    numbers = {label: number for number, label in enumerate(entity_labels(categories))}
    words = reading.tokens.words
    labels = np.full(len(words.starts), IGNORED, dtype=np.int64)
    for region in reading.document.regions:
        inside = (words.starts >= region.offset) & (words.ends <= region.offset + region.length)
        labels[inside] = 0
        _label_region(labels, region, numbers=numbers, starts=words.starts, ends=words.ends)
    return labels


def _label_region(
    labels: Labels, region: Region, *, numbers: Mapping[str, int], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> None:
    for label in region.labels:
        first = int(np.searchsorted(ends, label.offset, side="right"))
        end = int(np.searchsorted(starts, label.offset + label.length, side="left"))
        labels[first : min(first + 1, end)] = numbers[f"B-{label.category}"]
        labels[first + 1 : end] = numbers[f"I-{label.category}"]


def touching(labels: Labels) -> bool:
    """Whether somewhere a span begins right after another of its category, so that only B can tell them apart."""
    begins = (labels[1:] > 0) & (labels[1:] % 2 == 1)
    same = (labels[:-1] == labels[1:]) | (labels[:-1] == labels[1:] + 1)
    return bool((begins & same).any())


def class_targets(documents: Sequence[LabelledDocument], categories: Sequence[str]) -> NDArray[np.bool_]:
    """Return which classes each document has. Shape: (N, C)."""
    return np.array([[name in document.classes for name in categories] for document in documents], dtype=np.bool_)
