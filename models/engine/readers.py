"""What is kept of a document while its segments stream through the encoder: what each head needs, no more."""

from functools import cached_property
from typing import NotRequired, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from models.decoding import decode_entities, decode_multi, decode_single, pool
from models.engine.backend import Floats
from models.engine.loading import LoadedModel
from models.features import word_features
from models.heads import ClassHead, EntityHead
from models.segments import Segment
from models.tokenization import Tokens
from schemas.enriched import ClassScore, Entity
from schemas.errors import ModelError
from schemas.names import Kind


class Prediction(TypedDict):
    """What a model says of a document: ``entities`` or ``classes``, by its kind."""

    entities: NotRequired[list[Entity]]
    classes: NotRequired[list[ClassScore]]


class Document:
    """A document as one tokenizer sees it; what its readers share is worked out once."""

    def __init__(self, text: str, tokens: Tokens) -> None:
        self.text = text
        self.tokens = tokens

    @cached_property
    def word_tokens(self) -> NDArray[np.int64]:
        """The first token of each word. Shape: (W,)."""
        return np.flatnonzero(self.tokens.word_starts)

    @cached_property
    def features(self) -> Floats:
        """The shape features of each word. Shape: (W, F)."""
        return word_features(self.text, self.tokens)


class Reader(Protocol):
    """One model that reads one document."""

    @property
    def document(self) -> Document:
        """What is read."""
        ...

    def read(self, segment: Segment, hidden: Floats) -> None:
        """Take in the kept hidden states of a segment. Shape: (kept tokens, H)."""
        ...

    def result(self) -> Prediction:
        """Return what the model says, after all segments were read, in whatever order."""
        ...


def reader_of(model: LoadedModel, document: Document) -> Reader:
    """Return the reader for a model's kind."""
    if isinstance(model.head, EntityHead):
        return EntityReader(model, model.head, document)
    return ClassReader(model, model.head, document)


class EntityReader:
    """Keeps the logits of each word."""

    def __init__(self, model: LoadedModel, head: EntityHead, document: Document) -> None:
        self._model, self._head, self.document = model, head, document
        self._words, self._features = document.word_tokens, document.features
        self._logits = np.zeros((len(self._words), len(head.bias)), dtype=np.float32)

    def read(self, segment: Segment, hidden: Floats) -> None:
        """Ask the head about the words that begin in the kept part."""
        words = self._words
        low, high = np.searchsorted(words, (segment.keep_start, segment.keep_end))
        rows = hidden[words[low:high] - segment.keep_start]
        self._logits[low:high] = self._head.logits(rows, self._features[low:high])

    def result(self) -> Prediction:
        """Return the entities."""
        manifest = self._model.manifest
        entities = decode_entities(
            _finite(self._logits),
            self.document.tokens.words,
            self.document.text,
            categories=manifest.categories,
            decoder=manifest.decoding.decoder,
            temperature=manifest.temperature,
        )
        return Prediction(entities=entities)


class ClassReader:
    """Keeps the sum of the hidden states of all tokens."""

    def __init__(self, model: LoadedModel, head: ClassHead, document: Document) -> None:
        self._model, self._head, self.document = model, head, document
        self._sums: dict[int, NDArray[np.float64]] = {}

    def read(self, segment: Segment, hidden: Floats) -> None:
        """Add up the kept part."""
        self._sums[segment.keep_start] = hidden.sum(axis=0, dtype=np.float64)  # a book has 300,000 tokens

    def result(self) -> Prediction:
        """Return the classes."""
        manifest = self._model.manifest
        logits = _finite(self._head.logits(self._pooled()[None])[0])
        if manifest.kind is Kind.SINGLE_LABEL:
            classes = decode_single(
                logits,
                categories=manifest.categories,
                temperature=manifest.temperature,
                confidence_threshold=manifest.confidence_threshold,
            )
        else:
            classes = decode_multi(
                logits,
                categories=manifest.categories,
                thresholds=manifest.thresholds,
                temperature=manifest.temperature,
            )
        return Prediction(classes=classes)

    def _pooled(self) -> Floats:
        """Added in the order of the text, so that the order of micro-batches changes nothing."""
        parts = [self._sums[start] for start in sorted(self._sums)]
        total = np.sum(parts, axis=0) if parts else np.zeros(self._head.weight.shape[1], dtype=np.float64)
        return pool(total, n_tokens=len(self.document.tokens), pooling=self._model.manifest.decoding.pooling)


def _finite(logits: Floats) -> Floats:
    if not np.isfinite(logits).all():
        raise ModelError("the model gave logits that are not finite numbers")
    return logits
