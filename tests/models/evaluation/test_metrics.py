import random

import numpy as np
import pytest
from seqeval.metrics.v1 import precision_recall_fscore_support as seqeval_scores
from seqeval.scheme import IOB2
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from models.evaluation import (
    ClassDocument,
    EntityDocument,
    Evaluation,
    Span,
    TrainingFacts,
    evaluate_classes,
    evaluate_entities,
)
from models.evaluation.counts import count_classes, score
from models.evaluation.intervals import intervals
from models.evaluation.reliability import calibration
from schemas.names import Kind

CATEGORIES = ["Amount", "Name", "Place"]
FACTS = TrainingFacts(train=(), test=())


def random_classes(n_documents: int, *, most: int) -> list[ClassDocument]:
    dice = random.Random(7)
    documents = []
    for number in range(n_documents):
        expected = tuple(dice.sample(CATEGORIES, dice.randint(1, most)))
        guessed = dice.sample(CATEGORIES, dice.randint(1, most))
        predicted = expected if dice.random() < 0.6 else guessed
        documents.append(ClassDocument(str(number), expected, dict.fromkeys(predicted, dice.random())))
    return documents


def random_tags(length: int, dice: random.Random) -> list[str]:
    tags: list[str] = []
    while len(tags) < length:
        if dice.random() < 0.5:
            tags.append("O")
        else:
            category = dice.choice(CATEGORIES)
            tags += [f"B-{category}", *[f"I-{category}"] * dice.randint(0, 2)]
    return tags[:length]


def to_spans(tags: list[str]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for position, tag in enumerate(tags):
        if tag.startswith("B-"):
            spans.append(Span(tag[2:], 2 * position, 2 * position + 1))
        elif tag.startswith("I-"):
            spans[-1] = Span(spans[-1].category, spans[-1].start, 2 * position + 1)
    return tuple(spans)


def figures(evaluation: Evaluation, average: str) -> tuple[float, float, float]:
    found = evaluation.summary
    return found[f"{average}Precision"], found[f"{average}Recall"], found[f"{average}F1"]


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize(("kind", "most"), [(Kind.SINGLE_LABEL, 1), (Kind.MULTI_LABEL, 3)])
def test_class_scores_agree_with_scikit_learn(average: str, kind: Kind, most: int) -> None:
    documents = random_classes(200, most=most)
    evaluation = evaluate_classes(documents, CATEGORIES, kind=kind, facts=FACTS)
    truth = np.array([[name in each.expected for name in CATEGORIES] for each in documents])
    guess = np.array([[name in each.predicted for name in CATEGORIES] for each in documents])
    reference = precision_recall_fscore_support(truth, guess, average=average)[:3]
    assert figures(evaluation, average) == pytest.approx(reference, abs=1e-4)


def test_class_counts_add_up_to_the_number_of_documents() -> None:
    documents = random_classes(50, most=2)
    evaluation = evaluate_classes(documents, CATEGORIES, kind=Kind.MULTI_LABEL, facts=FACTS)
    for metrics in evaluation.categories.values():
        total = metrics.true_positive_count + metrics.true_negative_count
        assert total + metrics.false_positive_count + metrics.false_negative_count == 50


def test_single_label_matrix_agrees_with_scikit_learn() -> None:
    documents = random_classes(200, most=1)
    evaluation = evaluate_classes(documents, CATEGORIES, kind=Kind.SINGLE_LABEL, facts=FACTS)
    truth = [each.expected[0] for each in documents]
    guess = [next(iter(each.predicted)) for each in documents]
    reference = confusion_matrix(truth, guess, labels=CATEGORIES)
    matrix = evaluation.confusion_matrix
    assert matrix is not None
    for row, labelled in enumerate(CATEGORIES):
        for column, predicted in enumerate(CATEGORIES):
            cell = matrix[labelled].get(predicted)
            assert (cell.raw_value if cell else 0) == reference[row, column]
            if cell:
                assert cell.normalized_value == pytest.approx(100 * reference[row, column] / reference[row].sum())


def test_multi_label_has_no_matrix() -> None:
    evaluation = evaluate_classes(random_classes(9, most=2), CATEGORIES, kind=Kind.MULTI_LABEL, facts=FACTS)
    assert evaluation.confusion_matrix is None


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_entity_scores_agree_with_seqeval(average: str) -> None:
    dice = random.Random(3)
    truth = [random_tags(30, dice) for _ in range(20)]
    guess = [tags if dice.random() < 0.5 else random_tags(30, dice) for tags in truth]
    documents = [
        EntityDocument(str(number), "x " * 30, ((0, 60),), to_spans(expected), to_spans(predicted))
        for number, (expected, predicted) in enumerate(zip(truth, guess, strict=True))
    ]
    evaluation = evaluate_entities(documents, CATEGORIES, facts=FACTS)
    reference = seqeval_scores(truth, guess, average=average, scheme=IOB2)[:3]
    assert figures(evaluation, average) == pytest.approx(reference, abs=1e-4)


def test_wrong_type_is_a_false_positive_and_a_false_negative() -> None:
    document = EntityDocument("1", "Ada paid", ((0, 8),), (Span("Name", 0, 3),), (Span("Place", 0, 3),))
    evaluation = evaluate_entities([document], CATEGORIES, facts=FACTS)
    assert evaluation.categories["Name"].false_negative_count == 1
    assert evaluation.categories["Place"].false_positive_count == 1
    assert "Amount" not in evaluation.categories


def test_predictions_outside_the_labelled_regions_do_not_count() -> None:
    spans = (Span("Name", 0, 3),)
    document = EntityDocument("1", "Ada met Bob", ((0, 4),), spans, (*spans, Span("Name", 8, 11)))
    assert evaluate_entities([document], CATEGORIES, facts=FACTS).micro_precision == 1


def test_an_unsure_answer_is_no_false_positive() -> None:
    documents = [ClassDocument("1", ("Name",), {"None": 0.3}), ClassDocument("2", ("Name",), {"Name": 0.9})]
    evaluation = evaluate_classes(documents, CATEGORIES, kind=Kind.SINGLE_LABEL, facts=FACTS)
    assert (evaluation.micro_precision, evaluation.micro_recall) == (1, 0.5)
    assert evaluation.confusion_matrix is not None
    assert evaluation.confusion_matrix["Name"]["None"].raw_value == 1


def test_intervals_hold_the_score_and_are_repeatable() -> None:
    counts = count_classes(random_classes(60, most=2), CATEGORIES)
    micro_f1 = score(counts.sum(axis=0)).micro[2]
    first = intervals(counts, seed=1)
    assert first["microF1"].low < micro_f1 < first["microF1"].high
    assert first == intervals(counts, seed=1)
    assert first != intervals(counts, seed=2)


def test_more_documents_narrow_the_interval() -> None:
    few = intervals(count_classes(random_classes(20, most=2), CATEGORIES), seed=0)["microF1"]
    many = intervals(count_classes(random_classes(500, most=2), CATEGORIES), seed=0)["microF1"]
    assert many.high - many.low < (few.high - few.low) / 2


def test_calibration_error_is_the_weighted_gap() -> None:
    judged = [(0.95, True)] * 3 + [(0.95, False)] + [(0.25, False)] * 4
    found = calibration(judged)
    assert found.ece == pytest.approx((4 * 0.20 + 4 * 0.25) / 8)
    assert [(each.count, each.accuracy) for each in found.bins] == [(4, 0.0), (4, 0.75)]
    assert calibration([]).bins == []


def test_an_evaluation_without_test_documents_is_empty() -> None:
    evaluation = evaluate_entities([], CATEGORIES, facts=FACTS)
    assert evaluation.micro_f1 == 0
    assert evaluation.categories == {}


def test_evaluation_survives_its_json() -> None:
    evaluation = evaluate_classes(random_classes(20, most=1), CATEGORIES, kind=Kind.SINGLE_LABEL, facts=FACTS)
    again = Evaluation.model_validate_json(evaluation.to_json())
    assert again.summary == evaluation.summary
    assert again.wrong_documents == evaluation.wrong_documents
    assert 0 < len(again.wrong_documents) < 20
