"""How far confidences can be believed: reliability bins and the expected calibration error (ECE).

ECE as in Guo et al. 2017, https://arxiv.org/abs/1706.04599, over ten bins of equal width.
"""

from collections.abc import Iterable

import numpy as np

from models.evaluation.items import ClassDocument, EntityDocument
from models.evaluation.results import Calibration, ReliabilityBin

N_BINS = 10


def calibration(judged: Iterable[tuple[float, bool]], *, n_bins: int = N_BINS) -> Calibration:
    """Return the bins that have predictions in them, from pairs of confidence (0 to 1) and whether it was right."""
    pairs = np.array([(confidence, right) for confidence, right in judged], dtype=np.float64).reshape(-1, 2)
    numbers = np.clip((pairs[:, 0] * n_bins).astype(np.int64), 0, n_bins - 1)
    bins = [_bin(pairs[numbers == number], number, n_bins) for number in range(n_bins) if (numbers == number).any()]
    error = sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / max(len(pairs), 1)
    return Calibration(ece=error, bins=bins)


def judge_entities(documents: Iterable[EntityDocument]) -> list[tuple[float, bool]]:
    """Return each predicted entity's confidence and whether it matches a label exactly."""
    return [
        (span.confidence, span.key in {label.key for label in document.expected})
        for document in documents
        for span in document.judged
    ]


def judge_classes(documents: Iterable[ClassDocument]) -> list[tuple[float, bool]]:
    """Return each predicted class's confidence and whether it is labelled."""
    return [
        (confidence, category in document.expected)
        for document in documents
        for category, confidence in document.predicted.items()
    ]


def _bin(pairs: np.ndarray[tuple[int, ...], np.dtype[np.float64]], number: int, n_bins: int) -> ReliabilityBin:
    confidence, accuracy = pairs.mean(axis=0)
    return ReliabilityBin(
        low=number / n_bins,
        high=(number + 1) / n_bins,
        count=len(pairs),
        confidence=float(confidence),
        accuracy=float(accuracy),
    )
