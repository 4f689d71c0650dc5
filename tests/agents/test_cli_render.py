"""What people see, as pure functions: entities in the text, bars, tables, dead letters, events."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType

from agents.cli.render.content import printable
from agents.cli.render.dead_letters import letter_details, letter_lines
from agents.cli.render.documents import document_panel, document_plain, latency_s
from agents.cli.render.evaluation import full_report
from agents.cli.render.events import event_line
from agents.cli.render.records import rule_words
from agents.cli.render.spans import SHORT_CHARS, highlighted
from agents.cli.render.text import bar, counted, duration, safe, shorten
from agents.cli.theme import PALETTE, STYLES, Palette
from agents.letters import Letter
from models.evaluation import EntityDocument, Evaluation, Span, TrainingFacts, evaluate_entities
from schemas.commands import Rule
from schemas.control_events import ControlEvent, EventType
from schemas.dead_letters import dead_letter_headers
from schemas.enriched import EnrichedDocument, Entity
from schemas.errors import DecodeError
from schemas.labels import LabelledDocument
from schemas.names import StringIndexType
from schemas.text_index import positions_in
from tests.agents.records import record


def drawn(what: RenderableType, *, width: int = 100, terminal: bool = False) -> str:
    from rich.theme import Theme

    console = Console(file=io.StringIO(), width=width, theme=Theme(STYLES), force_terminal=terminal, highlight=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def entity(text: str, found: str, category: str = "Name", unit: StringIndexType = StringIndexType.CODE_POINT) -> Entity:
    start = text.index(found)
    at = positions_in(text, [start, start + len(found)], source=StringIndexType.CODE_POINT, target=unit)
    offset = at[start]
    return {
        "text": found,
        "category": category,
        "offset": offset,
        "length": at[start + len(found)] - offset,
        "confidenceScore": 0.97,
    }


def enriched(**more: Any) -> EnrichedDocument:
    document: dict[str, Any] = {
        "id": "loan-17",
        "text": "Ann owes Bob 5 $",
        "language": "en",
        "metadata": {},
        "stringIndexType": "UnicodeCodePoint",
        "source": {"topic": "in", "partition": 2, "offset": 1041, "timestamp": "2026-01-05T10:00:00.000Z"},
        "results": [
            {
                "project": "loans",
                "deployment": "production",
                "kind": "CustomEntityRecognition",
                "model": {"label": "v3", "digest": "sha256:" + "ab" * 32},
                "entities": [entity("Ann owes Bob 5 $", "Bob")],
                "warnings": [],
            }
        ],
        "errors": [],
        "enrichedAt": "2026-01-05T10:00:00.250Z",
    }
    return document | more  # type: ignore[return-value]


@pytest.mark.parametrize("unit", list(StringIndexType))
def test_entities_are_marked_where_they_are_in_any_unit(unit: StringIndexType) -> None:
    text = "😀 Zoë met Ann."
    entities = [entity(text, "Ann", unit=unit), entity(text, "Zoë", unit=unit)]
    shown = highlighted(text, entities, colours=Palette().colour, unit=unit.value).plain
    assert shown == "😀 [Zoë Name 0.97] met [Ann Name 0.97]."


def test_of_overlapping_entities_the_first_is_marked() -> None:
    text = "New York Times"
    shown = highlighted(text, [entity(text, "York Times"), entity(text, "New York")], colours=Palette().colour)
    assert shown.plain == "[New York Name 0.97] Times"


def test_of_a_long_text_only_what_surrounds_entities_is_shown() -> None:
    text = "word " * 400 + "Ann" + " word" * 400
    shown = highlighted(text, [entity(text, "Ann")], colours=Palette().colour).plain
    assert "[Ann Name 0.97]" in shown
    assert len(shown) < 250
    assert highlighted("x" * 5000, [], colours=Palette().colour).plain == "x" * SHORT_CHARS + "…"


def test_a_text_cannot_command_the_terminal() -> None:
    text = "\x1b[31mred\x07 \x9b2J \u202eevil Ann"
    shown = highlighted(text, [entity(text, "Ann")], colours=Palette().colour).plain
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 or character == "\u202e" for character in shown)
    assert safe("a\n\t b") == "a b"


def test_a_category_keeps_its_colour_and_no_two_share_one() -> None:
    names = [f"Category{number}" for number in range(len(PALETTE))]
    palette = Palette()
    colours = [palette.colour(name) for name in names]
    assert len(set(colours)) == len(PALETTE)
    assert [palette.colour(name) for name in names] == colours
    assert Palette().colour("Rent") == Palette().colour("Rent")


def test_a_document_shows_place_model_entities_and_latency() -> None:
    for shown in (drawn(document_panel(enriched(), colours=Palette().colour)),):
        assert "loan-17" in shown
        assert "in/2@1041 · 250 ms" in shown
        assert "loans/production  model v3 · ababababab" in shown
        assert "Ann owes [Bob Name 0.97] 5 $" in shown
    assert latency_s(enriched()) == 0.25
    assert "╭" not in drawn(document_plain(enriched(), colours=Palette().colour))


def test_classes_are_bars_and_failures_are_named() -> None:
    result = {
        "project": "tickets",
        "deployment": "production",
        "kind": "CustomMultiLabelClassification",
        "model": {"label": "v1", "digest": "sha256:" + "cd" * 32},
        "classes": [{"category": "Billing", "confidenceScore": 0.5}],
        "warnings": ["cut"],
    }
    failure = {"code": "DeploymentNotFound", "message": "no such thing", "project": "x", "deployment": "y"}
    shown = drawn(document_plain(enriched(results=[result], errors=[failure]), colours=Palette().colour))
    assert "Ann owes Bob 5 $" in shown
    assert "Billing  ████████████············  0.50" in shown
    assert "x/y  DeploymentNotFound: no such thing" in shown
    assert "! cut" in shown
    empty = result | {"classes": []}
    assert "no class was sure enough" in drawn(document_plain(enriched(results=[empty]), colours=Palette().colour))


def test_without_text_entities_are_listed() -> None:
    document = enriched()
    del document["text"]
    assert "Bob  0.97  at 9" in drawn(document_plain(document, colours=Palette().colour))


def test_there_are_no_control_codes_without_a_terminal_and_colours_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    panel = document_panel(enriched(), colours=Palette().colour)
    assert "\x1b" not in drawn(panel)
    assert "\x1b[" in drawn(panel, terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn(panel, terminal=True)


@pytest.mark.parametrize(
    ("share", "expected"), [(0, "····"), (0.5, "██··"), (1, "████"), (7, "████"), (-1, "····"), (0.2, "▊···")]
)
def test_a_bar_is_as_full_as_it_should_be(share: float, expected: str) -> None:
    assert bar(share, width=4).plain == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0094, "9 ms"), (4.2, "4.2 s"), (42, "42 s"), (61, "61 s"), (150, "2 min 30 s"), (7300, "2 h 01 min")],
)
def test_lengths_of_time_are_said_as_people_do(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_small_words() -> None:
    assert counted(1, "document") == "1 document"
    assert counted(2000, "document") == "2,000 documents"
    assert shorten("abcdef", 4) == "abc…"
    assert printable(b"\xff\x1b[0m", 100) == "\\xff\\x1b[0m"
    assert printable(None, 10) == "(null)"
    assert printable(b"", 10) == "(empty)"


def evaluation() -> Evaluation:
    documents = [
        EntityDocument(
            id=f"{number}.txt",
            text="Ann met Bob in Rome",
            regions=((0, 19),),
            expected=(Span("Name", 0, 3), Span("Place", 15, 19)),
            predicted=(Span("Name", 0, 3, 0.9), Span("Name", 15, 19, 0.6)),
        )
        for number in range(3)
    ]
    held_out = tuple(LabelledDocument(project="p", id=document.id, text=document.text) for document in documents)
    facts = TrainingFacts(train=(), test=held_out, backend="onnx-int8", duration_s=12)
    return evaluate_entities(documents, ["Name", "Place"], facts=facts)


def test_a_report_has_scores_confusion_calibration_mistakes_and_advice() -> None:
    shown = drawn(full_report(evaluation(), colours=Palette().colour), width=120)
    assert "micro F1 0.50" in shown
    assert "on 3 test documents" in shown
    assert ["Name", "0.50", "1.00", "0.67"] in [line.split()[:4] for line in shown.splitlines()]
    assert " 1 Name" in shown
    assert "expected calibration error" in shown
    assert "0.txt\n  missed Place" in shown
    assert "wrong  Name" in shown
    assert "Not in the test documents" in shown


def test_a_dead_letter_shows_where_it_came_from_and_its_bytes_safely() -> None:
    headers = dead_letter_headers(
        [("trace", b"\x00\x01")], topic="in", partition=1, offset=7, timestamp_ms=0, error=DecodeError("broken")
    )
    letter = Letter.read(record("dead", value=b"\xff{\x1b", key=None, headers=headers))
    assert letter is not None
    shown = drawn(letter_lines(letter.record))
    shown += drawn(letter_details(letter, replayed=False, n_bytes=100, as_hex=False))
    assert "in/1@7" in shown
    assert "DecodeError (decode): broken" in shown
    assert "\\xff{\\x1b" in shown
    assert "header trace \\x00\\x01" in shown
    assert "(no key)" in shown


def test_events_are_one_line() -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    details = {
        "deployment": "production",
        "topic": "in",
        "partition": 1,
        "offset": 42,
        "from": "sha256:" + "1" * 64,
        "to": "sha256:" + "2" * 64,
    }
    switched = ControlEvent(project="loans", event=EventType.SWITCHED, at=at, details=details)
    assert "production: 2222222222 answers from in/1@42 on instead of 1111111111" in event_line(switched).plain
    taken = switched.model_copy(update={"details": details | {"from": None}})
    assert event_line(taken).plain.endswith("answers from in/1@42 on (the first since a worker took the partition)")
    rejected = ControlEvent(project="loans", event=EventType.REJECTED, at=at, details={"problems": ["a", "b"]})
    assert event_line(rejected).plain.endswith("a; b")


def test_a_rule_reads_like_a_sentence() -> None:
    assert rule_words(Rule()) == "everything"
    assert rule_words(Rule(any=["A", "B"], confidence_below=0.6)) == "any of A, B; confidence below 0.6"
