"""Logits to entities and classes, with calibrated confidences and exact places in the text.

Two decoders for entities. ``type`` adds up the probabilities of ``B-`` and ``I-`` of a category and joins neighbouring
words of one category: best where spans of one category never touch. ``viterbi`` finds the likeliest valid sequence
of labels, and so tells touching spans apart. Both work on words, never on pieces of words.

Pooling for classification is the mean of the hidden states of all tokens of a document (``unitMean``: scaled to
length 1).
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.tokenization import Words
from schemas.enriched import ClassScore, Entity

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

NO_CLASS: Final = "None"
"""The category of a single-label document whose best class is less sure than the project wants."""
DEFAULT_THRESHOLD: Final = 0.5
_DECIMALS: Final = 4
_OUTSIDE: Final = 0


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Floats) -> Floats:
    """Return the probability of each label on its own."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return result


def decode_entities(
    logits: Floats,
    words: Words,
    text: str,
    *,
    categories: Sequence[str],
    decoder: Literal["type", "viterbi"] = "type",
    temperature: float = 1.0,
) -> list[Entity]:
    """Return the entities of a document, by their place in the text; ``text[offset:offset+length]`` is each one's text.

    Args:
        logits: Of the document's words, labels as in ``models.heads``. Shape: (W, L).
        words: Where the words are.
        text: The document.
        categories: In the order of the head.
        decoder: See the module.
        temperature: What logits are divided by, for confidences that are true.
    """
    if not len(logits):
        return []
    types = type_probabilities(logits, temperature=temperature)
    if decoder == "type":
        labels = types.argmax(axis=1)
        begins = np.zeros(len(labels), dtype=np.bool_)
    else:
        path = viterbi(logits)
        labels, begins = (path + 1) // 2, path % 2 == 1
    return _entities(_runs(labels, begins), labels, types, words=words, text=text, categories=categories)


def type_probabilities(logits: Floats, *, temperature: float = 1.0) -> Floats:
    """Return the probability of no entity and of each category. Shape: (W, L) to (W, 1 + C)."""
    chances = softmax(logits / np.float32(temperature))
    result: Floats = np.hstack([chances[:, :1], chances[:, 1::2] + chances[:, 2::2]])
    return result


def viterbi(logits: Floats) -> Labels:
    """Return the likeliest sequence of labels in which each ``I-`` follows ``B-`` or ``I-`` of its category.

    Where the best label of each word on its own makes a valid sequence, that is the answer and nothing is searched.
    """
    best: Labels = logits.argmax(axis=1)
    return best if _valid(best) else _search(logits)


def _valid(labels: Labels) -> bool:
    before = np.concatenate([[_OUTSIDE], labels[:-1]])
    inside = (labels > 0) & (labels % 2 == 0)
    return bool((~inside | (before == labels) | (before == labels - 1)).all())


def _search(logits: Floats) -> Labels:
    """Viterbi. An I is reached from its own B or I, all else from anywhere: a step needs no table of all pairs."""
    n_words, n_labels = logits.shape
    back = np.zeros((n_words, n_labels), dtype=np.int64)
    inside = np.arange(2, n_labels, 2)
    score = logits[0].astype(np.float64)
    score[inside] = -np.inf
    for word in range(1, n_words):
        back[word] = best = int(score.argmax())
        reached = np.full(n_labels, score[best])
        stay = score[inside] >= score[inside - 1]
        back[word, inside] = np.where(stay, inside, inside - 1)
        reached[inside] = np.where(stay, score[inside], score[inside - 1])
        score = reached + logits[word]
    path = np.empty(n_words, dtype=np.int64)
    path[-1] = score.argmax()
    for word in range(n_words - 1, 0, -1):
        path[word - 1] = back[word, path[word]]
    return path


def _runs(labels: Labels, begins: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first word of each span and the one after its last. A span begins at ``begins`` or a new label."""
    within = labels != _OUTSIDE
    first = np.flatnonzero(within & (begins | (np.diff(labels, prepend=_OUTSIDE) != 0)))
    last = np.flatnonzero(within & np.append(begins[1:] | (np.diff(labels) != 0), True))
    return list(zip(first.tolist(), (last + 1).tolist(), strict=True))


def _entities(
    runs: Sequence[tuple[int, int]],
    labels: Labels,
    types: Floats,
    *,
    words: Words,
    text: str,
    categories: Sequence[str],
) -> list[Entity]:
    found = []
    for first, end in runs:
        label = int(labels[first])
        start, stop = int(words.starts[first]), int(words.ends[end - 1])
        if place := _trimmed(text, start, stop):
            confidence = _rounded(float(types[first:end, label].mean()))
            found.append(
                Entity(
                    text=text[place[0] : place[1]],
                    category=categories[label - 1],
                    offset=place[0],
                    length=place[1] - place[0],
                    confidenceScore=confidence,
                )
            )
    return found


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Take outer white space off; nothing where nothing is left."""
    slice_ = text[start:end]
    body = slice_.strip()
    if not body:
        return None
    start += len(slice_) - len(slice_.lstrip())
    return start, start + len(body)


def _rounded(confidence: float) -> float:
    return round(min(max(confidence, 0.0), 1.0), _DECIMALS)


def pool(total: NDArray[np.floating], *, n_tokens: int, pooling: Literal["mean", "unitMean"] = "mean") -> Floats:
    """Return what the class head reads of a document.

    Args:
        total: Sum of the hidden states of the document's tokens. Shape: (H,).
        n_tokens: How many they are; a document without tokens gives zeros.
        pooling: See the module.
    """
    mean: Floats = (total / max(n_tokens, 1)).astype(np.float32)
    if pooling == "mean":
        return mean
    scaled: Floats = mean / np.float32(max(float(np.linalg.norm(mean)), 1e-9))
    return scaled


def decode_single(
    logits: Floats, *, categories: Sequence[str], temperature: float = 1.0, confidence_threshold: float | None = None
) -> list[ClassScore]:
    """Return the one class of a document, or ``NO_CLASS`` when none is as sure as the project wants.

    Args:
        logits: Shape: (C,).
        categories: In the order of the head.
        temperature: What logits are divided by.
        confidence_threshold: Below it the answer is ``NO_CLASS``, with the confidence of the best class.
    """
    chances = softmax(logits / np.float32(temperature))
    best = int(chances.argmax())
    confidence = _rounded(float(chances[best]))
    sure = confidence_threshold is None or confidence >= confidence_threshold
    return [ClassScore(category=categories[best] if sure else NO_CLASS, confidenceScore=confidence)]


def decode_multi(
    logits: Floats, *, categories: Sequence[str], thresholds: Mapping[str, float], temperature: float = 1.0
) -> list[ClassScore]:
    """Return the classes at or above their thresholds, surest first; possibly none.

    Args:
        logits: Shape: (C,).
        categories: In the order of the head.
        thresholds: By category; ``DEFAULT_THRESHOLD`` for those that are not there.
        temperature: What logits are divided by.
    """
    chances = sigmoid(logits / np.float32(temperature))
    scores = [
        ClassScore(category=category, confidenceScore=_rounded(float(chance)))
        for category, chance in zip(categories, chances, strict=True)
        if float(chance) >= thresholds.get(category, DEFAULT_THRESHOLD)
    ]
    return sorted(scores, key=lambda score: -score["confidenceScore"])
