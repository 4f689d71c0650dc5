from models.evaluation import ClassDocument, EntityDocument, Span, TrainingFacts, evaluate_classes, evaluate_entities
from models.evaluation.report import render_html
from schemas.names import Kind

FACTS = TrainingFacts(train=(), test=(), backend="onnx-int8")
ATTACK = "<script>alert(1)</script>"


def test_document_text_and_names_are_escaped() -> None:
    document = EntityDocument(ATTACK, ATTACK, ((0, len(ATTACK)),), (Span("Name", 0, len(ATTACK)),), ())
    page = render_html(evaluate_entities([document], ["Name"], facts=FACTS), title=ATTACK)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3


def test_page_refers_to_nothing_outside() -> None:
    document = ClassDocument("1", ("Billing",), {"Sales": 0.7})
    page = render_html(
        evaluate_classes([document], ["Billing", "Sales"], kind=Kind.SINGLE_LABEL, facts=FACTS), title="tickets"
    )
    assert "http" not in page
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_multi_label_report_has_no_matrix_but_lists_what_was_missed() -> None:
    document = ClassDocument("movie-7", ("Drama", "Comedy"), {"Drama": 0.7})
    page = render_html(
        evaluate_classes([document], ["Drama", "Comedy"], kind=Kind.MULTI_LABEL, facts=FACTS), title="movies"
    )
    assert "<h2>Confusion</h2>" not in page
    assert "movie-7" in page
    assert "missed" in page
