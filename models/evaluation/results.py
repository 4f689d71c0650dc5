"""The result of an evaluation, as it is stored and shown. Field names are Azure's where Azure has them."""

from typing import Literal

from schemas.base import Message, Timestamp
from schemas.names import Kind

Outcome = Literal["truePositive", "falsePositive", "falseNegative"]


class CategoryMetrics(Message):
    """One entity type or class."""

    precision: float
    recall: float
    f1: float
    true_positive_count: int
    true_negative_count: int
    false_positive_count: int
    false_negative_count: int


class Cell(Message):
    """A cell of the confusion matrix: a weight, and its percentage of the row."""

    normalized_value: float
    raw_value: float


class Interval(Message):
    """A 95 % confidence interval, by resampling the test documents."""

    low: float
    high: float


class ReliabilityBin(Message):
    """Predictions of about one confidence: how sure the model was, how often it was right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


class Calibration(Message):
    """How far confidences can be believed. ``ece`` is the expected calibration error, between 0 and 1."""

    ece: float
    bins: list[ReliabilityBin]


class Distribution(Message):
    """How often a category is labelled, and in how many documents."""

    train_labels: int
    train_documents: int
    test_labels: int
    test_documents: int


class Guidance(Message):
    """Something about the data that a person could improve."""

    check: Literal["enoughData", "presentInTest", "balanced", "evenSplit", "distinct"]
    categories: list[str]
    message: str


class Item(Message):
    """One expected or predicted thing of a document. Classes have neither offset nor length nor text."""

    category: str
    outcome: Outcome
    offset: int | None = None
    length: int | None = None
    text: str | None = None
    confidence_score: float | None = None


class TestDocument(Message):
    """A test document, labelled and predicted side by side."""

    __test__ = False

    location: str
    language: str | None = None
    expected: list[Item]
    predicted: list[Item]

    @property
    def right(self) -> bool:
        """Whether everything was found and nothing else."""
        return all(item.outcome == "truePositive" for item in (*self.expected, *self.predicted))


class EvaluationOptions(Message):
    """How the documents were split."""

    kind: Literal["percentage", "manual"]
    training_split_percentage: int | None = None
    testing_split_percentage: int | None = None


class Evaluation(Message):
    """Everything that is known about a model's quality.

    ``entities`` or ``classes`` holds the metrics of each category, by the project's kind; categories neither labelled
    nor predicted in the test documents are left out. The confusion matrix is ``{labelled: {predicted: cell}}``
    without zero cells; multi-label classification has none. ``trainedOn`` are the ids of the training documents.
    """

    project_kind: Kind
    evaluation_options: EvaluationOptions
    micro_f1: float
    micro_precision: float
    micro_recall: float
    macro_f1: float
    macro_precision: float
    macro_recall: float
    entities: dict[str, CategoryMetrics] | None = None
    classes: dict[str, CategoryMetrics] | None = None
    confusion_matrix: dict[str, dict[str, Cell]] | None = None
    intervals: dict[str, Interval]
    category_intervals: dict[str, Interval]
    calibration: Calibration
    documents: list[TestDocument]
    distribution: dict[str, Distribution]
    guidance: list[Guidance]
    trained_on: list[str] = []
    n_train: int
    n_test: int
    backend: str
    duration_s: float
    evaluated_at: Timestamp
    notes: list[str] = []

    @property
    def categories(self) -> dict[str, CategoryMetrics]:
        """The metrics of each category, whatever the kind."""
        return self.entities if self.entities is not None else self.classes or {}

    @property
    def wrong_documents(self) -> list[TestDocument]:
        """The test documents on which the model made a mistake."""
        return [document for document in self.documents if not document.right]

    @property
    def summary(self) -> dict[str, float]:
        """The micro and macro figures, rounded."""
        figures = self.payload()
        names = ("microF1", "microPrecision", "microRecall", "macroF1", "macroPrecision", "macroRecall")
        return {name: round(float(figures[name]), 4) for name in names}

    def to_json(self) -> bytes:
        """Return the stored form."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
