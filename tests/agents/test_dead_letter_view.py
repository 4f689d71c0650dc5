"""What people see of dead letters: nothing that somebody else wrote can do anything to their terminal."""

import io
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from agents.cli.render.content import content, hexdump, is_binary, printable
from agents.cli.render.dead_letters import counts_tables, letter_details, letter_lines, letters_table
from agents.cli.render.tally import Tally
from agents.cli.render.text import moment
from agents.letters import Letter, Selection
from agents.survey import Survey
from schemas.dead_letters import PREFIX, REPLAY_ATTEMPTS, REPLAYED_FROM, Headers
from schemas.errors import DecodeError, TasksFailed
from tests.agents.dead_letter_kit import headers_of, letter
from tests.agents.records import record

NASTY_TEXT = "\x1b]0;title\x07 \x1b[2J \x9b31m \u202e\u2066 \u200b\ufeff \x00\x08\r\n \U000e0041 \ufffd"
NASTY = NASTY_TEXT.encode() + b"\xed\xa0\x80\xff"

NOW_MS = 1_767_607_200_000
MOMENT = moment(datetime.fromtimestamp(NOW_MS / 1000, UTC))


def drawn(shown: RenderableType, *, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def harmless(text: str) -> bool:
    """Whether only new lines of ours and visible characters are in ``text``."""
    return not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for c in text.replace("\n", ""))


def nasty_letter(value: bytes | None = NASTY) -> Letter:
    names: Headers = [("\x1b[5m" * 200, NASTY)] * 80
    added = headers_of(DecodeError(NASTY_TEXT), 3, original=names, topic=NASTY_TEXT)
    said = [(name, NASTY if name.endswith((".stage", ".class.name")) else given) for name, given in added]
    made = record("n.dead-letters", key=NASTY, value=value, headers=said)
    found = Letter.read(made)
    assert found is not None
    return found


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=300))
@example(NASTY)
def test_no_byte_of_a_dead_letter_reaches_the_terminal_as_it_is(value: bytes) -> None:
    for as_hex in (False, True):
        shown = drawn(letter_details(nasty_letter(value), replayed=True, n_bytes=200, as_hex=as_hex))
        assert harmless(shown)
        assert len(shown) < 60_000
    assert harmless(drawn(letter_lines(nasty_letter(value).record)))


def test_tables_of_letters_are_as_harmless() -> None:
    survey = Survey(Selection(), 5)
    survey.take(nasty_letter(), replayed=True)
    assert harmless(drawn(letters_table(survey.newest)) + drawn(counts_tables(survey)))


def test_what_only_calls_itself_a_dead_letter_is_shown_and_not_an_error() -> None:
    shown = drawn(letter_lines(record("n.dead-letters", value=NASTY, headers=[(PREFIX + "topic", NASTY)])))
    assert "not a dead letter" in shown
    assert harmless(shown)


def test_text_comes_as_text_and_anything_else_as_a_hex_dump() -> None:
    assert content('{"text": "Jürgen"}'.encode(), 100) == '{"text": "Jürgen"}'
    assert content(b"a\nb", 100) == "a\\nb"
    assert content(b"", 100) == "(empty)"
    assert content(None, 100) == "(null)"
    assert content(b"\x00AB\x80", 100) == hexdump(b"\x00AB\x80")
    assert hexdump(bytes(range(0x3C, 0x50))).splitlines() == [
        "00000000  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  |<=>?@ABCDEFGHIJK|",
        "00000010  4c 4d 4e 4f                                       |LMNO|",
    ]


@pytest.mark.parametrize(
    ("value", "binary"),
    [
        (b"plain", False),
        (b"a\tb\r\n" * 9, False),
        (("ünï" * 9).encode(), False),
        (b"x" * 99 + b"\x1b", False),
        (b"a\0b", True),
        (b"\xff" * 9, True),
    ],
)
def test_what_is_binary_is_told_by_what_is_not_visible(value: bytes, binary: bool) -> None:
    assert is_binary(value, 1000) is binary


def test_a_character_is_not_cut_in_two() -> None:
    assert content("éé".encode(), 3) == "é"
    assert content(b"abcdefghijklmnop\xc3", 17) == "abcdefghijklmnop\\xc3"
    assert printable("é".encode() * 9, 3) == "éé…"


def test_letters_that_were_replayed_and_that_failed_again_are_marked() -> None:
    again = letter(2, headers=headers_of(DecodeError("x"), 2, original=[(REPLAY_ATTEMPTS, b"2")]))
    rows = drawn(letters_table([(letter(1), True), (again, False), (letter(3), False)])).splitlines()
    assert ["✓" in row for row in rows if "n.documents/1@" in row] == [True, False, False]
    assert ["failed again, replay 2" in row for row in rows if "n.documents/1@" in row] == [False, True, False]


@pytest.mark.parametrize("width", [80, 120])
def test_where_a_letter_came_from_stays_whole_where_there_is_little_room(width: int) -> None:
    error = TasksFailed("no deployment of these tasks is there, expected one of those that the project has " * 3)
    headers = headers_of(error, 1_234_567, topic="lexstream.documents", partition=3)
    shown = drawn(letters_table([(letter(98_765, error=error, headers=headers), False)]), width=width)
    assert "lexstream.documents/3@1234567" in shown
    assert "0:98765" in shown
    assert "TasksFailed" in shown


def test_a_long_name_of_a_topic_is_folded_and_not_cut() -> None:
    topic = "".join(f"part-{number:02}." for number in range(20))
    long = letter(headers=headers_of(TasksFailed("x" * 99), 42, topic=topic))
    shown = drawn(letters_table([(long, False)]), width=120)
    assert all(f"part-{number:02}" in shown for number in range(20))
    assert "/1@42" in shown


def test_sources_are_counted_by_partition_where_there_is_little_room() -> None:
    survey = Survey(Selection(), 0)
    for partition in range(4):
        made = headers_of(TasksFailed("x"), 0, topic="lexstream.documents", partition=partition)
        survey.take(letter(partition, headers=made, at_ms=NOW_MS), replayed=partition == 3)
    shown = drawn(counts_tables(survey), width=80)
    rows = [line for line in shown.splitlines() if "lexstream.documents/" in line]
    assert [line.split()[0] for line in rows] == [f"lexstream.documents/{partition}" for partition in range(4)]
    assert all(MOMENT in line for line in rows)


def test_names_of_headers_are_shown_like_their_values() -> None:
    made = letter(headers=headers_of(TasksFailed("x"), 0, original=[("n\x1b[31m\u202e", b"v\x9b")]))
    shown = drawn(letter_details(made, replayed=False, n_bytes=9, as_hex=False))
    assert "header n\\x1b[31m\\u202e v\\x9b" in shown


def test_many_sources_are_cut_to_the_largest() -> None:
    survey = Survey(Selection(), 0)
    for number in range(30):
        made = headers_of(TasksFailed("x"), 0, topic=f"topic-{number}", partition=0)
        survey.take(letter(number, headers=made), replayed=False)
    survey.take(letter(30, headers=headers_of(TasksFailed("x"), 1, topic="topic-29", partition=0)), replayed=True)
    shown = drawn(counts_tables(survey))
    assert "topic-29/0" in shown
    assert "and 15 more" in shown
    assert "31 dead letters, 1 of them replayed" in shown


def test_a_tally_counts_documents_dead_letters_by_reason_and_replays() -> None:
    tally = Tally()
    assert tally.n_records == 0
    tally.take(record("n.enriched", value=b"{}", headers=[(REPLAYED_FROM, b"n.dead-letters/0/1")]))
    tally.take(record("n.enriched", value=b"{}"))
    for error in (DecodeError("x"), DecodeError("y"), TasksFailed("z")):
        tally.take(letter(error=error).record)
    assert str(tally) == "2 documents, 3 dead letters (2 DecodeError, 1 TasksFailed), 1 replayed"
    assert tally.n_records == 5
