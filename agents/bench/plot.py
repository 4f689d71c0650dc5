"""The speeds as bars, in an SVG that any browser shows."""

from collections.abc import Sequence
from typing import Any, Final

from agents.svg import picture, text

_WIDTH: Final = 760
_LABEL: Final = 250
_BAR: Final = 24
_GAP: Final = 10
_COLOURS: Final = {"exactly-once": "#0b7285", "at-least-once": "#3bc9db", "bare": "#868e96", "naive": "#e8590c"}
_OTHER: Final = "#ced4da"


def svg(report: dict[str, Any]) -> str:
    """Return the picture of a report."""
    parts: list[str] = []
    top = 34
    for kind, title in (("mix", "documents a second, realistic mix"), ("tickets", "documents a second, short tickets")):
        parts.append(text(12, top, title, weight="bold"))
        parts += _bars(report[kind], top + 14)
        top += 14 + len(report[kind]) * (_BAR + _GAP) + 34
    machine = report["machine"]
    parts.append(text(12, top - 6, f"{machine['processor']}, {machine['cpus']} processors", size=11))
    return picture(parts, width=_WIDTH, height=top + 8)


def _bars(rows: Sequence[dict[str, Any]], top: int) -> list[str]:
    most = max(row["documentsPerS"] for row in rows) or 1.0
    parts = []
    for at, row in enumerate(rows):
        y = top + at * (_BAR + _GAP)
        width = max(1.0, (_WIDTH - _LABEL - 160) * row["documentsPerS"] / most)
        colour = _COLOURS.get(row["subject"], _OTHER)
        parts += [
            text(12, y + 17, row["title"]),
            f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
            text(_LABEL + width + 8, y + 17, f"{row['documentsPerS']:.0f}  ({row['overBare']:.2f} \u00d7 bare)"),
        ]
    return parts
