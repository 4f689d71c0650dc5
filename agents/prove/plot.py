"""Throughput over time with the murders marked, in an SVG that any browser shows."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from agents.prove.schedule import Kind

_WIDTH: Final = 1000
_HEIGHT: Final = 300
_LEFT: Final = 64
_TOP: Final = 40
_RIGHT: Final = 16
_LEGEND_ROW: Final = 20
_LEGEND_COLUMNS: Final = 4
_PLACES: Final = 5
_COLOURS: Final = {
    Kind.KILL: "#e03131",
    Kind.FREEZE: "#1971c2",
    Kind.JOIN: "#2f9e44",
    Kind.LEAVE: "#868e96",
    Kind.CUT: "#f08c00",
    Kind.SLOW: "#9c36b5",
    Kind.KILL_BROKER: "#000000",
    Kind.FREEZE_BROKER: "#0c8599",
}


def svg(report: dict[str, Any]) -> str:
    """Return the picture of a report."""
    out, published = report["timeline"]["cameOutPerS"], report["timeline"]["publishedPerS"]
    seconds = max(len(out), len(published), 1)
    most = max([*out, *published, 1])
    murders = report["murders"]
    kinds = [kind for kind in Kind if any(murder["kind"] == kind for murder in murders)]
    height = _TOP + _HEIGHT + 44 + -(-len(kinds) // _LEGEND_COLUMNS) * _LEGEND_ROW
    parts = [
        _text(_LEFT, 22, f"{report['verdict']}: {report['events']:,} events, seed {report['seed']}", weight="bold"),
        *(_mark(murder, seconds) for murder in murders),
        f'<path d="{_area(out, seconds, most)}" fill="#63e6be" fill-opacity="0.7" stroke="#099268"/>',
        f'<path d="{_line(published, seconds, most)}" fill="none" stroke="#495057" stroke-dasharray="4 3"/>',
        *_axes(seconds, most),
        *_legend(kinds),
    ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _x(second: float, seconds: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(second, seconds) / seconds


def _y(count: float, most: float) -> float:
    return _TOP + _HEIGHT * (1 - count / most)


def _line(per_s: Sequence[int], seconds: int, most: int) -> str:
    points = [f"{_x(at + 0.5, seconds):.1f} {_y(count, most):.1f}" for at, count in enumerate(per_s)]
    return "M " + " L ".join(points) if points else ""


def _area(per_s: Sequence[int], seconds: int, most: int) -> str:
    if not per_s:
        return ""
    bottom = _y(0, most)
    first, last = _x(0.5, seconds), _x(len(per_s) - 0.5, seconds)
    return f"{_line(per_s, seconds, most)} L {last:.1f} {bottom:.1f} L {first:.1f} {bottom:.1f} Z"


def _mark(murder: dict[str, Any], seconds: int) -> str:
    start = _x(murder["atS"], seconds)
    end = _x(murder["atS"] if murder["endedS"] is None else murder["endedS"], seconds)
    title = escape(f"{murder['atS']:.1f} s: {murder['kind']} ({murder['whom']})")
    colour = _COLOURS[Kind(murder["kind"])]
    return (
        f'<g><title>{title}</title><rect x="{start:.1f}" y="{_TOP}" width="{end - start:.1f}" height="{_HEIGHT}" '
        f'fill="{colour}" fill-opacity="0.1"/><line x1="{start:.1f}" x2="{start:.1f}" y1="{_TOP}" '
        f'y2="{_TOP + _HEIGHT}" stroke="{colour}" stroke-width="1.2"/></g>'
    )


def _axes(seconds: int, most: int) -> list[str]:
    bottom = _TOP + _HEIGHT
    parts = [
        f'<path d="M {_LEFT} {_TOP} V {bottom} H {_WIDTH - _RIGHT}" fill="none" stroke="#212529"/>',
        _text(8, _TOP - 6, "events a second: came out (green), published (dashed)", size=11),
    ]
    for place in range(_PLACES + 1):
        second, count = seconds * place / _PLACES, most * place / _PLACES
        parts.append(_text(_x(second, seconds) - 8, bottom + 16, f"{second:.0f} s", size=11))
        parts.append(_text(8, _y(count, most) + 4, f"{count:,.0f}", size=11))
    return parts


def _legend(kinds: Sequence[Kind]) -> list[str]:
    parts = []
    width = (_WIDTH - _LEFT) / _LEGEND_COLUMNS
    for at, kind in enumerate(kinds):
        row, column = divmod(at, _LEGEND_COLUMNS)
        x, y = _LEFT + column * width, _TOP + _HEIGHT + 38 + row * _LEGEND_ROW
        parts.append(f'<rect x="{x:.1f}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[kind]}"/>')
        parts.append(_text(x + 18, y, str(kind), size=12))
    return parts


def _text(x: float, y: float, words: str, *, size: int = 13, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="#212529">{escape(words)}</text>'
    )
