"""Small pieces: bars, numbers, moments, and text that is safe to show in a terminal."""

import re
from datetime import datetime

from rich.text import Text

from agents.cli.theme import grade

_EIGHTHS = " ▏▎▍▌▋▊▉"
_DIGEST_CHARS = 10


def safe(text: str) -> str:
    """Return ``text`` on one line, without anything that a terminal would obey."""
    visible = "".join(c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return re.sub(r"\s+", " ", visible)


def shorten(text: str, n_chars: int) -> str:
    """Return at most ``n_chars`` characters of ``text``, with an ellipsis where some were cut off."""
    return text if len(text) <= n_chars else text[: n_chars - 1] + "…"


def bar(share: float, *, width: int = 12, style: str = "bar.full") -> Text:
    """Return a bar of ``width`` cells that is full for a ``share`` of 1."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text.assemble((drawn, style), ("·" * (width - len(drawn)), "bar.empty"))


def score_bar(value: float, *, width: int = 12) -> Text:
    """Return a score as a number and a bar, coloured by how good it is."""
    return Text.assemble((f"{value:.2f} ", grade(value)), bar(value, width=width, style=grade(value)))


def short_digest(digest: str) -> str:
    """Return the first characters of a digest, without the algorithm."""
    return digest.removeprefix("sha256:")[:_DIGEST_CHARS]


def moment(at: datetime) -> str:
    """Return a point in time in the local time zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:  # noqa: PLR2004 - shorter than what people call minutes
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004


def counted(number: int, noun: str) -> str:
    """Return ``1 document``, ``2 documents``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
