"""One evaluation from everything: documents, what was expected and what was predicted."""

from collections.abc import Sequence

from models.evaluation.confusion import Matrix, confuse_classes, confuse_entities
from models.evaluation.counts import Counts, count_classes, count_entities, score
from models.evaluation.guidance import distribution, guide
from models.evaluation.intervals import category_intervals, intervals
from models.evaluation.items import ClassDocument, EntityDocument, Span, TrainingFacts
from models.evaluation.reliability import calibration, judge_classes, judge_entities
from models.evaluation.results import (
    Calibration,
    CategoryMetrics,
    Evaluation,
    EvaluationOptions,
    Item,
    TestDocument,
)
from schemas.base import now
from schemas.names import Kind


def evaluate_entities(
    documents: Sequence[EntityDocument], categories: Sequence[str], *, facts: TrainingFacts
) -> Evaluation:
    """Evaluate an entity model on its test documents."""
    return _evaluation(
        Kind.ENTITIES,
        categories,
        counts=count_entities(documents, categories),
        matrix=confuse_entities(documents, categories),
        believed=calibration(judge_entities(documents)),
        documents=[_entity_details(document) for document in documents],
        facts=facts,
    )


def evaluate_classes(
    documents: Sequence[ClassDocument], categories: Sequence[str], *, kind: Kind, facts: TrainingFacts
) -> Evaluation:
    """Evaluate a classification model on its test documents."""
    return _evaluation(
        kind,
        categories,
        counts=count_classes(documents, categories),
        matrix=confuse_classes(documents, categories) if kind is Kind.SINGLE_LABEL else None,
        believed=calibration(judge_classes(documents)),
        documents=[_class_details(document) for document in documents],
        facts=facts,
    )


def _evaluation(
    kind: Kind,
    categories: Sequence[str],
    *,
    counts: Counts,
    matrix: Matrix | None,
    believed: Calibration,
    documents: list[TestDocument],
    facts: TrainingFacts,
) -> Evaluation:
    metrics = _by_category(counts, categories, kind)
    averages = score(counts.sum(axis=0))
    distributions = distribution(facts.train, facts.test, categories)
    return Evaluation(
        project_kind=kind,
        evaluation_options=_options(facts),
        **{f"micro_{name}": float(value) for name, value in zip(_FIGURES, averages.micro, strict=True)},
        **{f"macro_{name}": float(value) for name, value in zip(_FIGURES, averages.macro, strict=True)},
        entities=metrics if kind is Kind.ENTITIES else None,
        classes=None if kind is Kind.ENTITIES else metrics,
        confusion_matrix=matrix,
        intervals=intervals(counts, seed=facts.seed),
        category_intervals=category_intervals(counts, list(categories), seed=facts.seed),
        calibration=believed,
        documents=documents,
        distribution=distributions,
        guidance=guide(distributions, matrix),
        trained_on=[document.id for document in facts.train],
        n_train=len(facts.train),
        n_test=len(facts.test),
        backend=facts.backend,
        duration_s=facts.duration_s,
        evaluated_at=now(),
        notes=list(facts.notes),
    )


_FIGURES = ("precision", "recall", "f1")


def _by_category(counts: Counts, categories: Sequence[str], kind: Kind) -> dict[str, CategoryMetrics]:
    totals = counts.sum(axis=0)
    scores = score(totals)
    return {
        name: CategoryMetrics(
            precision=float(scores.precision[number]),
            recall=float(scores.recall[number]),
            f1=float(scores.f1[number]),
            true_positive_count=int(totals[number, 0]),
            # Text without an entity cannot be counted, so Azure gives 0 for entities.
            true_negative_count=0 if kind is Kind.ENTITIES else len(counts) - int(totals[number].sum()),
            false_positive_count=int(totals[number, 1]),
            false_negative_count=int(totals[number, 2]),
        )
        for number, name in enumerate(categories)
        if scores.present[number]
    }


def _options(facts: TrainingFacts) -> EvaluationOptions:
    if facts.split == "manual" or facts.training_split_percentage is None:
        return EvaluationOptions(kind="manual")
    return EvaluationOptions(
        kind="percentage",
        training_split_percentage=facts.training_split_percentage,
        testing_split_percentage=100 - facts.training_split_percentage,
    )


def _entity_details(document: EntityDocument) -> TestDocument:
    expected = {span.key for span in document.expected}
    predicted = {span.key for span in document.judged}

    def item(span: Span, *, confidence: float | None) -> Item:
        wrong = "falseNegative" if confidence is None else "falsePositive"
        return Item.model_validate(
            {
                "category": span.category,
                "outcome": "truePositive" if span.key in expected & predicted else wrong,
                "offset": span.start,
                "length": span.end - span.start,
                "text": document.text[span.start : span.end],
                "confidence_score": confidence,
            }
        )

    return TestDocument(
        location=document.id,
        language=document.language,
        expected=[item(span, confidence=None) for span in document.expected],
        predicted=[item(span, confidence=span.confidence) for span in document.judged],
    )


def _class_details(document: ClassDocument) -> TestDocument:
    return TestDocument(
        location=document.id,
        language=document.language,
        expected=[
            Item(category=name, outcome="truePositive" if name in document.predicted else "falseNegative")
            for name in document.expected
        ],
        predicted=[
            Item(
                category=name,
                outcome="truePositive" if name in document.expected else "falsePositive",
                confidence_score=confidence,
            )
            for name, confidence in document.predicted.items()
        ],
    )
