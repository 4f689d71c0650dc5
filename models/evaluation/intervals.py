"""Confidence intervals by the bootstrap: the test documents are drawn again, with replacement."""

import numpy as np

from models.evaluation.counts import Counts, Floats, score
from models.evaluation.results import Interval

N_SAMPLES = 1000
_LEVEL = (2.5, 97.5)


def resample(counts: Counts, *, seed: int, n_samples: int = N_SAMPLES) -> Floats:
    """Return summed counts of ``n_samples`` redrawn test sets. Shape: ``(n_samples, C, 3)``."""
    n_documents = len(counts)
    if n_documents == 0:
        return np.zeros((n_samples, *counts.shape[1:]))
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(n_documents, np.full(n_documents, 1 / n_documents), size=n_samples)
    flat = weights.astype(np.float64) @ counts.reshape(n_documents, -1).astype(np.float64)
    return flat.reshape(n_samples, *counts.shape[1:])


def intervals(counts: Counts, *, seed: int) -> dict[str, Interval]:
    """Return the 95 % intervals of the micro and macro figures, by their camelCase names."""
    scores = score(resample(counts, seed=seed))
    return {
        f"{average}{name}": _interval(values[:, column])
        for average, values in (("micro", scores.micro), ("macro", scores.macro))
        for column, name in enumerate(("Precision", "Recall", "F1"))
    }


def category_intervals(counts: Counts, categories: list[str], *, seed: int) -> dict[str, Interval]:
    """Return the 95 % interval of each category's F1, over the redrawn test sets in which it occurs."""
    scores = score(resample(counts, seed=seed))
    return {
        name: _interval(scores.f1[scores.present[:, number], number])
        for number, name in enumerate(categories)
        if scores.present[:, number].any()
    }


def _interval(values: Floats) -> Interval:
    low, high = np.percentile(values, _LEVEL)
    return Interval(low=float(low), high=float(high))
