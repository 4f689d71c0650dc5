r"""Bytes that somebody else wrote, for a terminal: nothing of them can move its cursor, colour it or turn text around.

What is not visible, such as control characters, escapes, marks that turn the direction of text, and bytes that are no
UTF-8, comes as ``\x..`` or ``\u....``; what is mostly that comes as a hex dump.
"""

import codecs

from agents.cli.render.text import shorten

_ROW = 16
_BINARY_SHARE = 0.1
_LAYOUT = frozenset("\n\r\t")


def printable(value: bytes | None, n_chars: int) -> str:
    r"""Return at most ``n_chars`` characters on one line; what is no UTF-8 or not visible comes as ``\x..``."""
    if value is None:
        return "(null)"
    return shorten(_visible(value, n_chars * 4), n_chars) or "(empty)"


def content(value: bytes | None, n_bytes: int) -> str:
    """Return the first ``n_bytes``: text as one line, anything else as a hex dump. Its length is bounded, too."""
    if not value:
        return printable(value, n_bytes)
    return hexdump(value[:n_bytes]) if is_binary(value, n_bytes) else _visible(value, n_bytes)


def is_binary(value: bytes, n_bytes: int) -> bool:
    """Tell whether the first bytes are no text: a zero byte, or many that are no UTF-8 or not visible."""
    text = _decoded(value, n_bytes, errors="replace")
    n_odd = sum(not (c.isprintable() or c in _LAYOUT) or c == "\N{REPLACEMENT CHARACTER}" for c in text)
    return "\0" in text or n_odd > _BINARY_SHARE * len(text)


def hexdump(value: bytes) -> str:
    """Return rows of 16 bytes: where they stand, in hexadecimal, and as ASCII with a dot for what is not visible."""
    rows = (value[start : start + _ROW] for start in range(0, len(value), _ROW))
    return "\n".join(
        f"{number * _ROW:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  |{_ascii(row)}|"
        for number, row in enumerate(rows)
    )


def _visible(value: bytes, n_bytes: int) -> str:
    text = _decoded(value, n_bytes, errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _decoded(value: bytes, n_bytes: int, *, errors: str) -> str:
    # A character that is cut in two here is left out; one that is but half in the value itself is not.
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    return decoder.decode(value[:n_bytes], final=len(value) <= n_bytes)


def _ascii(row: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)  # noqa: PLR2004 - visible ASCII
