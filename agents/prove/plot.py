"""Throughput over time with the murders marked, in an SVG that any browser shows."""

from collections.abc import Sequence
from typing import Any, Final

from agents.prove.schedule import Kind
from agents.svg import Frame, picture, text

_WIDTH: Final = 1000
_HEIGHT: Final = 300
_LEFT: Final = 64
_TOP: Final = 40
_RIGHT: Final = 16
_LEGEND_ROW: Final = 20
_LEGEND_COLUMNS: Final = 4
_COLOURS: Final = {
    Kind.KILL: "#e03131",
    Kind.FREEZE: "#1971c2",
    Kind.JOIN: "#2f9e44",
    Kind.LEAVE: "#868e96",
    Kind.CUT: "#f08c00",
    Kind.SLOW: "#9c36b5",
    Kind.KILL_BROKER: "#000000",
    Kind.FREEZE_BROKER: "#0c8599",
    Kind.RESTART_BROKER: "#5f3dc4",
    Kind.KILL_TRAINER: "#a61e4d",
    Kind.FREEZE_TRAINER: "#66a80f",
}


def svg(report: dict[str, Any]) -> str:
    """Return the picture of a report."""
    out, published = report["timeline"]["cameOutPerS"], report["timeline"]["publishedPerS"]
    seconds = max(len(out), len(published), 1)
    frame = Frame(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT, most_x=seconds, most_y=max([*out, *published, 1]))
    murders = report["murders"]
    kinds = [kind for kind in Kind if any(murder["kind"] == kind for murder in murders)]
    parts = [
        text(_LEFT, 22, f"{report['verdict']}: {report['events']:,} events, seed {report['seed']}", weight="bold"),
        *(_mark(murder, frame) for murder in murders),
        f'<path d="{frame.area(_points(out))}" fill="#63e6be" fill-opacity="0.7" stroke="#099268"/>',
        f'<path d="{frame.line(_points(published))}" fill="none" stroke="#495057" stroke-dasharray="4 3"/>',
        text(8, _TOP - 6, "events a second: came out (green), published (dashed)", size=11),
        *frame.axes(unit="s"),
        *_legend(kinds),
    ]
    height = _TOP + _HEIGHT + 44 + -(-len(kinds) // _LEGEND_COLUMNS) * _LEGEND_ROW
    return picture(parts, width=_WIDTH, height=height)


def _points(per_s: Sequence[int]) -> list[tuple[float, float]]:
    return [(at + 0.5, count) for at, count in enumerate(per_s)]


def _mark(murder: dict[str, Any], frame: Frame) -> str:
    began, ended = murder["atS"], murder["atS"] if murder["endedS"] is None else murder["endedS"]
    start, end, colour = frame.x(began), frame.x(ended), _COLOURS[Kind(murder["kind"])]
    shade = (
        f'<rect x="{start:.1f}" y="{_TOP}" width="{end - start:.1f}" height="{_HEIGHT}" '
        f'fill="{colour}" fill-opacity="0.1"/>'
    )
    return shade + frame.upright(began, colour, title=f"{began:.1f} s: {murder['kind']} ({murder['whom']})")


def _legend(kinds: Sequence[Kind]) -> list[str]:
    parts = []
    width = (_WIDTH - _LEFT) / _LEGEND_COLUMNS
    for at, kind in enumerate(kinds):
        row, column = divmod(at, _LEGEND_COLUMNS)
        x, y = _LEFT + column * width, _TOP + _HEIGHT + 38 + row * _LEGEND_ROW
        parts.append(f'<rect x="{x:.1f}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[kind]}"/>')
        parts.append(text(x + 18, y, str(kind), size=12))
    return parts
