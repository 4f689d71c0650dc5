"""Confusion matrices: labelled outside, predicted inside, zero cells left out.

For entities the matrix is soft. Each labelled entity, and each gap between them, has the weight 1, which is shared out
over what was predicted there by the number of characters that are not white space. ``$none`` is the key of gaps and of
what was not predicted.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.evaluation.items import ClassDocument, EntityDocument, Span
from models.evaluation.results import Cell

NONE = "$none"
UNSURE = "None"
Matrix = dict[str, dict[str, Cell]]


def confuse_entities(documents: Sequence[EntityDocument], categories: Sequence[str]) -> Matrix:
    """Return the soft matrix over ``categories`` and ``$none``."""
    names = [NONE, *categories]
    index = {name: number for number, name in enumerate(names)}
    weights = np.zeros((len(names), len(names)))
    for document in documents:
        _add_document(weights, document, index)
    return _matrix(weights, [*categories, NONE], index)


def confuse_classes(documents: Sequence[ClassDocument], categories: Sequence[str]) -> Matrix:
    """Return the plain matrix of single-label documents; a document nobody was sure about was predicted "None"."""
    names = [*categories] if UNSURE in categories else [*categories, UNSURE]
    index = {name: number for number, name in enumerate(names)}
    weights = np.zeros((len(names), len(names)))
    for document in documents:
        predicted = next(iter(document.predicted), UNSURE)
        for expected in document.expected:
            weights[index[expected], index.get(predicted, index[UNSURE])] += 1
    return _matrix(weights, names, index)


def _add_document(weights: NDArray[np.float64], document: EntityDocument, index: dict[str, int]) -> None:
    predicted = np.zeros(len(document.text), dtype=np.int64)
    for span in document.judged:
        predicted[span.start : span.end] = index[span.category]
    visible = np.fromiter((not character.isspace() for character in document.text), bool, len(document.text))
    for category, start, end in _units(document):
        found = np.bincount(predicted[start:end][visible[start:end]], minlength=len(index))
        if total := found.sum():
            weights[index[category]] += found / total


def _units(document: EntityDocument) -> Iterator[tuple[str, int, int]]:
    for region_start, region_end in document.regions:
        position = region_start
        for span in _inside(document.expected, region_start, region_end):
            yield NONE, position, max(span.start, position)
            yield span.category, span.start, span.end
            position = max(position, span.end)
        yield NONE, position, max(region_end, position)


def _inside(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    return sorted((span for span in spans if start <= span.start < end), key=lambda span: span.start)


def _matrix(weights: NDArray[np.float64], order: Sequence[str], index: dict[str, int]) -> Matrix:
    matrix: Matrix = {}
    for labelled in order:
        row = weights[index[labelled]]
        cells = {
            predicted: Cell(normalized_value=100 * row[index[predicted]] / row.sum(), raw_value=row[index[predicted]])
            for predicted in order
            if row[index[predicted]] > 0
        }
        if cells:
            matrix[labelled] = cells
    return matrix
