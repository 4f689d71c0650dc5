"""The published evaluation of Azure's loan sample, rebuilt from its figures: 4 documents with 12 entities each."""

import pytest

from models.evaluation import EntityDocument, Evaluation, Span, TrainingFacts, evaluate_entities

TYPES = ["BorrowerAddress", "Interest", *(f"Type{number}" for number in range(10))]
GAP = 30
LAST_GAP = 959


def write_document(name: str, *, gaps: dict[int, int], lengths: dict[int, int]) -> tuple[str, list[Span]]:
    text, spans = "", []
    for number, category in enumerate(TYPES):
        text += "g" * gaps.get(number, GAP) + " "
        spans.append(Span(category, len(text), len(text) + lengths.get(number, 5)))
        text += "e" * lengths.get(number, 5) + " "
    return text + "g" * LAST_GAP, spans


def make(name: str, *, gaps: dict[int, int] | None = None, lengths: dict[int, int] | None = None) -> EntityDocument:
    text, spans = write_document(name, gaps=gaps or {}, lengths=lengths or {})
    return EntityDocument(name, text, ((0, len(text)),), tuple(spans), tuple(spans))


def with_prediction(document: EntityDocument, *, number: int, span: Span) -> EntityDocument:
    predicted = [*document.predicted[:number], span, *document.predicted[number + 1 :]]
    return EntityDocument(document.id, document.text, document.regions, document.expected, tuple(predicted))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    plain = make("1")
    # "mailing address of 2948 Ben Street": 29 characters labelled, the last 13 predicted.
    long_label = make("2", lengths={0: 29})
    label = long_label.expected[0]
    shortened = with_prediction(long_label, number=0, span=Span("BorrowerAddress", label.end - 13, label.end))
    # "of", predicted as an address of its own in a gap of 21 characters.
    extra = make("3", gaps={0: 21})
    extra = with_prediction(extra, number=12, span=Span("BorrowerAddress", 19, 21))
    # An interest that is predicted one character too long, into the last gap.
    last = make("4")
    swapped = [*last.expected]
    swapped[1], swapped[11] = (
        Span(TYPES[11], swapped[1].start, swapped[1].end),
        Span("Interest", swapped[11].start, swapped[11].end),
    )
    predicted = [*swapped[:11], Span("Interest", swapped[11].start, swapped[11].end + 2)]
    longer = EntityDocument("4", last.text, last.regions, tuple(swapped), tuple(predicted))
    facts = TrainingFacts(train=(), test=())
    return evaluate_entities([plain, shortened, extra, longer], TYPES, facts=facts)


def test_micro_figures_are_azures(evaluation: Evaluation) -> None:
    assert evaluation.micro_precision == pytest.approx(0.93877554)
    assert evaluation.micro_recall == pytest.approx(0.9583333)
    assert evaluation.micro_f1 == pytest.approx(0.94845366)


def test_macro_figures_are_azures(evaluation: Evaluation) -> None:
    assert evaluation.macro_precision == pytest.approx(0.9458334)
    assert evaluation.macro_recall == pytest.approx(0.9583333)
    assert evaluation.macro_f1 == pytest.approx(0.9513889)


def test_counts_are_exact_matches(evaluation: Evaluation) -> None:
    address = evaluation.categories["BorrowerAddress"]
    counts = (address.true_positive_count, address.false_positive_count, address.false_negative_count)
    assert counts == (3, 2, 1)
    interest = evaluation.categories["Interest"]
    counts = (interest.true_positive_count, interest.false_positive_count, interest.false_negative_count)
    assert counts == (3, 1, 1)
    assert {each.true_negative_count for each in evaluation.categories.values()} == {0}


def test_matrix_shares_weights_by_visible_characters(evaluation: Evaluation) -> None:
    assert evaluation.confusion_matrix is not None
    address = evaluation.confusion_matrix["BorrowerAddress"]
    assert address["BorrowerAddress"].raw_value == pytest.approx(3 + 13 / 29)
    assert address["$none"].raw_value == pytest.approx(16 / 29)
    assert address["BorrowerAddress"].normalized_value == pytest.approx(86.206894, abs=1e-4)
    assert evaluation.confusion_matrix["Interest"]["Interest"].raw_value == pytest.approx(4)
    assert list(evaluation.confusion_matrix["Interest"]) == ["Interest"]


def test_matrix_row_of_unlabelled_text_is_azures(evaluation: Evaluation) -> None:
    assert evaluation.confusion_matrix is not None
    none = evaluation.confusion_matrix["$none"]
    assert none["$none"].raw_value == pytest.approx(51.90372, abs=1e-5)
    assert none["BorrowerAddress"].raw_value == pytest.approx(2 / 21)
    assert none["Interest"].raw_value == pytest.approx(1 / 959)
    assert sum(cell.raw_value for cell in none.values()) == pytest.approx(52)
