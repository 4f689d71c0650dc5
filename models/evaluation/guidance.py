"""How the labels are distributed, and what a person could do to get a better model: Azure's five checks."""

from collections import Counter
from collections.abc import Mapping, Sequence

from models.evaluation.confusion import NONE, UNSURE, Matrix
from models.evaluation.results import Distribution, Guidance
from schemas.labels import LabelledDocument

ENOUGH_LABELS = 15
_IMBALANCE = 5
_UNEVEN = 2
_UNEVEN_LABELS = 3
_CONFUSED_PERCENT = 10


def label_counts(document: LabelledDocument) -> Counter[str]:
    """Return how often each category is labelled in ``document``."""
    spans = (label.category for region in document.regions for label in region.labels)
    return Counter([*spans, *document.classes])


def distribution(
    train: Sequence[LabelledDocument], test: Sequence[LabelledDocument], categories: Sequence[str]
) -> dict[str, Distribution]:
    """Return for each category how many labels and labelled documents each part has."""
    train_counts = [label_counts(document) for document in train]
    test_counts = [label_counts(document) for document in test]
    return {
        name: Distribution(
            train_labels=sum(counts[name] for counts in train_counts),
            train_documents=sum(counts[name] > 0 for counts in train_counts),
            test_labels=sum(counts[name] for counts in test_counts),
            test_documents=sum(counts[name] > 0 for counts in test_counts),
        )
        for name in categories
    }


def guide(distributions: Mapping[str, Distribution], matrix: Matrix | None) -> list[Guidance]:
    """Return what does not pass the five checks; an empty list is a data set without obvious faults."""
    found = [
        _enough(distributions),
        _present(distributions),
        _balanced("training", {name: each.train_labels for name, each in distributions.items()}),
        _balanced("test", {name: each.test_labels for name, each in distributions.items()}),
        _even(distributions),
        *_distinct(matrix or {}),
    ]
    return [each for each in found if each is not None]


def _enough(distributions: Mapping[str, Distribution]) -> Guidance | None:
    few = {name: each.train_labels for name, each in distributions.items() if each.train_labels < ENOUGH_LABELS}
    if not few:
        return None
    listed = ", ".join(f"{name} ({count})" for name, count in few.items())
    message = f"Fewer than {ENOUGH_LABELS} labels in the training documents: {listed}. Label more of them."
    return Guidance(check="enoughData", categories=list(few), message=message)


def _present(distributions: Mapping[str, Distribution]) -> Guidance | None:
    missing = [name for name, each in distributions.items() if each.test_labels == 0]
    if not missing:
        return None
    message = f"Not in the test documents, so their quality is unknown: {', '.join(missing)}."
    return Guidance(check="presentInTest", categories=missing, message=message)


def _balanced(part: str, labels: Mapping[str, int]) -> Guidance | None:
    most = max(labels, key=lambda name: labels[name], default=None)
    rare = [name for name, count in labels.items() if most and 0 < count * _IMBALANCE < labels[most]]
    if not rare:
        return None
    message = (
        f"In the {part} documents {', '.join(rare)} have less than a fifth of the labels of {most}; "
        "rare categories are found less often."
    )
    return Guidance(check="balanced", categories=rare, message=message)


def _even(distributions: Mapping[str, Distribution]) -> Guidance | None:
    n_train = sum(each.train_labels for each in distributions.values())
    n_test = sum(each.test_labels for each in distributions.values())
    uneven = [name for name, each in distributions.items() if n_train and _is_uneven(each, n_test / n_train)]
    if not uneven:
        return None
    message = f"Training and test documents differ much in how frequent these are: {', '.join(uneven)}."
    return Guidance(check="evenSplit", categories=uneven, message=message)


def _is_uneven(each: Distribution, test_to_train: float) -> bool:
    expected = each.train_labels * test_to_train
    low, high = sorted((expected, float(each.test_labels)))
    return each.test_labels > 0 and high > _UNEVEN * low and high - low >= _UNEVEN_LABELS


def _distinct(matrix: Matrix) -> list[Guidance]:
    confused = [
        (cell.normalized_value, labelled, predicted)
        for labelled, row in matrix.items()
        for predicted, cell in row.items()
        if labelled != predicted and cell.normalized_value >= _CONFUSED_PERCENT
    ]
    return [
        Guidance(check="distinct", categories=[labelled, predicted], message=_confusion(percent, labelled, predicted))
        for percent, labelled, predicted in sorted(confused, key=lambda each: (-each[0], *each[1:]))
    ]


def _confusion(percent: float, labelled: str, predicted: str) -> str:
    if predicted in {NONE, UNSURE}:
        return f"{percent:.0f} % of {labelled} is not found: check that it is labelled everywhere, or label more of it."
    if labelled == NONE:
        return f"{percent:.0f} % of the text without a label is taken for {predicted}: check for missing labels."
    return (
        f"{percent:.0f} % of {labelled} is taken for {predicted}: "
        "label more of both, make them more distinct, or merge them."
    )
