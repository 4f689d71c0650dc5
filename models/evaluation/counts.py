"""True positives, false positives and false negatives, and the scores made from them.

Counts are integer arrays of shape ``(D, C, 3)``: documents, categories, and TP, FP, FN in this order. A wrong type is
a false positive of the predicted category and a false negative of the labelled one.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.items import ClassDocument, EntityDocument

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Keys = AbstractSet[tuple[object, ...]]


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 by category, with their micro and macro averages, over any leading axes.

    ``present`` says which categories were labelled or predicted at all; the others do not enter the macro averages.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    present: NDArray[np.bool_]
    micro: Floats
    macro: Floats


def count_entities(documents: Sequence[EntityDocument], categories: Sequence[str]) -> Counts:
    """Count exact matches: same start, same end, same category."""
    pairs = (
        ({span.key for span in document.expected}, {span.key for span in document.judged}) for document in documents
    )
    return _count(pairs, categories, n_documents=len(documents))


def count_classes(documents: Sequence[ClassDocument], categories: Sequence[str]) -> Counts:
    """Count right and wrong classes. An answer outside ``categories`` ("None": not sure) is no false positive."""
    pairs = (
        ({(name,) for name in document.expected}, {(name,) for name in document.predicted}) for document in documents
    )
    return _count(pairs, categories, n_documents=len(documents))


def _count(pairs: Iterable[tuple[Keys, Keys]], categories: Sequence[str], *, n_documents: int) -> Counts:
    index = {name: number for number, name in enumerate(categories)}
    counts = np.zeros((n_documents, len(categories), 3), dtype=np.int64)
    for row, (expected, predicted) in zip(counts, pairs, strict=True):
        for column, keys in enumerate((expected & predicted, predicted - expected, expected - predicted)):
            for key in keys:
                if (number := index.get(str(key[0]))) is not None:
                    row[number, column] += 1
    return counts


def score(totals: NDArray[np.integer] | Floats) -> Scores:
    """Return the scores of summed counts of shape ``(..., C, 3)``; what would be 0/0 is 0."""
    totals = totals.astype(np.float64)
    per_category = _rates(totals)
    present = totals.sum(axis=-1) > 0
    n_present = np.maximum(present.sum(axis=-1, keepdims=True), 1)
    macro = (per_category * present[..., None]).sum(axis=-2) / n_present
    return Scores(
        precision=per_category[..., 0],
        recall=per_category[..., 1],
        f1=per_category[..., 2],
        present=present,
        micro=_rates(totals.sum(axis=-2)),
        macro=macro,
    )


def _rates(totals: Floats) -> Floats:
    right, false_positive, false_negative = totals[..., 0], totals[..., 1], totals[..., 2]
    precision = _ratio(right, right + false_positive)
    recall = _ratio(right, right + false_negative)
    f1 = _ratio(2 * right, 2 * right + false_positive + false_negative)
    return np.stack([precision, recall, f1], axis=-1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
