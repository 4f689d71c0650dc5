"""Which documents train, which validate and which test.

Percentage splits are stratified over all categories at once (Sechidis et al. 2011, "On the stratification of
multi-label data"), so that a category that is rare stays in training.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.training.checks import categories_of, is_labelled
from schemas.labels import Dataset, LabelledDocument

Documents = tuple[LabelledDocument, ...]


@dataclass(frozen=True)
class Split:
    """Training and test documents. Nothing that is learnt or chosen may depend on the test documents."""

    train: Documents
    test: Documents


def split_documents(documents: Sequence[LabelledDocument], *, split: str, training_percentage: int, seed: int) -> Split:
    """Return the split of the labelled documents; with ``split="manual"`` their own dataset decides."""
    labelled = [document for document in documents if is_labelled(document)]
    if split == "manual":
        test = tuple(document for document in labelled if document.dataset is Dataset.TEST)
        return Split(tuple(document for document in labelled if document.dataset is Dataset.TRAIN), test)
    train, test = hold_out(labelled, share=1 - training_percentage / 100, seed=seed)
    return Split(train, test)


def hold_out(documents: Sequence[LabelledDocument], *, share: float, seed: int) -> tuple[Documents, Documents]:
    """Return the documents that stay and those held out, about ``share`` of them, at least one of each."""
    n_held = min(max(round(len(documents) * share), 1), len(documents) - 1)
    held = _stratify(documents, share=n_held / len(documents), seed=seed)
    if len(held) in {0, len(documents)}:
        held ^= {_most_replaceable(documents)}
    stay = tuple(document for number, document in enumerate(documents) if number not in held)
    return stay, tuple(document for number, document in enumerate(documents) if number in held)


def _stratify(documents: Sequence[LabelledDocument], *, share: float, seed: int) -> set[int]:
    """Place the documents of the rarest category first, each where its category is wanted most."""
    labels = [categories_of(document) or frozenset([""]) for document in documents]
    left = list(range(len(documents)))
    random.Random(seed).shuffle(left)  # noqa: S311  (nothing secret is drawn)
    counts = Counter(category for each in labels for category in sorted(each))
    wanted = {category: [count * (1 - share), count * share] for category, count in counts.items()}
    room = [len(documents) * (1 - share), len(documents) * share]
    held: set[int] = set()
    while left:
        rarest = min(_occurring(labels, left).items(), key=lambda item: (item[1], item[0]))[0]
        for number in [number for number in left if rarest in labels[number]]:
            part = max((0, 1), key=lambda part: (round(wanted[rarest][part], 6), round(room[part], 6), -part))
            room[part] -= 1
            for category in labels[number]:
                wanted[category][part] -= 1
            if part:
                held.add(number)
        left = [number for number in left if rarest not in labels[number]]
    return held


def _occurring(labels: Sequence[frozenset[str]], left: Sequence[int]) -> Counter[str]:
    return Counter(category for number in left for category in labels[number])


def _most_replaceable(documents: Sequence[LabelledDocument]) -> int:
    counts = Counter(category for document in documents for category in categories_of(document))
    rarity = [min((counts[name] for name in categories_of(document)), default=0) for document in documents]
    return max(range(len(documents)), key=lambda number: rarity[number])
