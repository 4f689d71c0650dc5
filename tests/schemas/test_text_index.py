import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInput
from schemas.names import StringIndexType
from schemas.text_index import Span, convert_spans, length_in, positions_in

CODE_POINT, UTF16, UTF8 = StringIndexType.CODE_POINT, StringIndexType.UTF16, StringIndexType.UTF8
TEXT = "aé🙂\r\nz"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
units = st.sampled_from(list(StringIndexType))


@st.composite
def texts_and_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    text = draw(texts)
    edges = st.tuples(*[st.integers(0, len(text))] * 2).map(sorted)
    return text, [(start, end - start) for start, end in draw(st.lists(edges, max_size=8))]


@given(texts_and_spans(), units)
def test_spans_cut_the_same_piece_in_every_unit(case: tuple[str, list[Span]], unit: StringIndexType) -> None:
    text, spans = case
    there = convert_spans(text, spans, source=CODE_POINT, target=unit)
    encoding, width = {CODE_POINT: ("utf-32-le", 4), UTF16: ("utf-16-le", 2), UTF8: ("utf-8", 1)}[unit]
    encoded = text.encode(encoding)
    for (offset, length), (start, size) in zip(spans, there, strict=True):
        assert encoded[start * width : (start + size) * width].decode(encoding) == text[offset : offset + length]
    assert convert_spans(text, there, source=unit, target=CODE_POINT) == spans


@given(texts, units, units)
def test_end_of_the_text_is_its_length(text: str, source: StringIndexType, target: StringIndexType) -> None:
    end = length_in(text, source)
    assert positions_in(text, [end, end + 1], source=source, target=target) == {end: length_in(text, target)}


def test_windows_line_ends_count_two() -> None:
    assert convert_spans("a\r\nb", [(3, 1)], source=UTF16, target=CODE_POINT) == [(3, 1)]


def test_characters_beyond_the_basic_plane_count_two_units_and_four_bytes() -> None:
    assert convert_spans(TEXT, [(2, 1), (5, 1)], source=CODE_POINT, target=UTF16) == [(2, 2), (6, 1)]
    assert convert_spans(TEXT, [(2, 1), (5, 1)], source=CODE_POINT, target=UTF8) == [(3, 4), (9, 1)]


@pytest.mark.parametrize(
    ("unit", "span", "problem"),
    [
        (UTF16, (3, 2), r"spans\[0\]: position 3 \(UTF-16 units\) is inside a surrogate pair"),
        (UTF8, (2, 1), "is inside a character"),
        (UTF16, (6, 2), "position 8 is outside the text of 7 UTF-16 units"),
        (CODE_POINT, (-1, 2), "position -1 is outside the text of 6 code points"),
    ],
)
def test_a_place_that_is_none_is_named(unit: StringIndexType, span: Span, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        convert_spans(TEXT, [span], source=unit, target=UTF8 if unit is not UTF8 else UTF16)


def test_all_bad_spans_are_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        convert_spans(TEXT, [(3, 1), (0, 1), (90, 1)], source=UTF16, target=CODE_POINT)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["spans[0]", "spans[2]", "spans[2]"]


def test_a_bad_span_does_not_shift_the_others() -> None:
    assert positions_in(TEXT, [3, 4, 7], source=UTF16, target=CODE_POINT) == {4: 3, 7: 6}
