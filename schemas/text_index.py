"""Positions in a text, counted in code points, UTF-16 units or UTF-8 bytes.

Python counts code points; .NET, Java and JavaScript count UTF-16 units; Go and Rust count bytes.
"""

from collections.abc import Iterable, Sequence

from schemas.errors import InvalidInput
from schemas.names import StringIndexType

Span = tuple[int, int]
"""Offset and length."""

_ENCODINGS = {
    StringIndexType.CODE_POINT: ("utf-32-le", 4),
    StringIndexType.UTF16: ("utf-16-le", 2),
    StringIndexType.UTF8: ("utf-8", 1),
}
_NAMES = {
    StringIndexType.CODE_POINT: "code points",
    StringIndexType.UTF16: "UTF-16 units",
    StringIndexType.UTF8: "UTF-8 bytes",
}


def length_in(text: str, unit: StringIndexType) -> int:
    """Return the length of ``text``, counted in ``unit``."""
    if unit is StringIndexType.CODE_POINT or text.isascii():
        return len(text)
    encoding, width = _ENCODINGS[unit]
    return len(text.encode(encoding, errors="surrogatepass")) // width


def positions_in(
    text: str, positions: Iterable[int], *, source: StringIndexType, target: StringIndexType
) -> dict[int, int]:
    """Return each of ``positions``, counted in ``source``, together with the same place counted in ``target``.

    Positions outside the text or inside a character are left out. One pass over the text, whatever the number.
    """
    wanted = sorted({position for position in positions if position >= 0})
    if source is target or text.isascii():
        length = length_in(text, source)
        return {position: position for position in wanted if position <= length}
    encoding, width = _ENCODINGS[source]
    encoded = text.encode(encoding, errors="surrogatepass")
    found: dict[int, int] = {}
    start = converted = 0
    for position in wanted:
        if position * width > len(encoded):
            break
        try:
            piece = encoded[start * width : position * width].decode(encoding)
        except UnicodeDecodeError:
            continue
        converted += length_in(piece, target)
        start = position
        found[position] = converted
    return found


def why_no_position(position: int, length: int, unit: StringIndexType) -> str:
    """Say why ``positions_in`` left ``position`` out of a text of ``length``, both counted in ``unit``."""
    if not 0 <= position <= length:
        return f"position {position} is outside the text of {length} {_NAMES[unit]}"
    inside = "a surrogate pair" if unit is StringIndexType.UTF16 else "a character"
    return f"position {position} ({_NAMES[unit]}) is inside {inside}"


def convert_spans(text: str, spans: Sequence[Span], *, source: StringIndexType, target: StringIndexType) -> list[Span]:
    """Return ``spans`` of ``text``, in their order, counted in ``target`` instead of ``source``.

    Raises:
        InvalidInput: With every span that ends outside the text or inside a character.
    """
    boundaries = [position for offset, length in spans for position in (offset, offset + length)]
    found = positions_in(text, boundaries, source=source, target=target)
    missing = [
        (i, position)
        for i, (offset, length) in enumerate(spans)
        for position in (offset, offset + length)
        if position not in found
    ]
    if missing:
        there = length_in(text, source)
        raise InvalidInput([f"spans[{i}]: {why_no_position(position, there, source)}" for i, position in missing])
    return [(found[offset], found[offset + length] - found[offset]) for offset, length in spans]
