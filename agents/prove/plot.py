"""Throughput over time with the murders marked, in an SVG that any browser shows."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from agents.prove.schedule import Kind
from agents.svg import Frame, picture, rounded, text

_WIDTH: Final = 1000
_HEIGHT: Final = 240
_LEFT: Final = 170
_TOP: Final = 40
_RIGHT: Final = 24
_AXIS: Final = 28
_LANE: Final = 16
_MARK: Final = 10
_LEAST: Final = 1.6
"""Pixels of a murder that was over at once."""
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
    """Return the picture of a report: events a second, and below them a lane for each kind of murder."""
    out, published = report["timeline"]["cameOutPerS"], report["timeline"]["publishedPerS"]
    frame = Frame(
        _LEFT,
        _TOP,
        _WIDTH - _LEFT - _RIGHT,
        _HEIGHT,
        most_x=rounded(max(len(out), len(published), 1)),
        most_y=rounded(max([*out, *published, 1])),
    )
    kinds = [kind for kind in Kind if any(murder["kind"] == kind for murder in report["murders"])]
    parts = [
        text(_LEFT, 22, f"{report['verdict']}: {report['events']:,} events, seed {report['seed']}", weight="bold"),
        f'<path d="{frame.area(_points(out))}" fill="#63e6be" fill-opacity="0.7" stroke="#099268"/>',
        f'<path d="{frame.line(_points(published))}" fill="none" stroke="#495057" stroke-dasharray="4 3"/>',
        text(_LEFT, _TOP - 4, "events a second: came out (green), published (dashed)", size=11),
        *frame.axes(unit="s"),
    ]
    for at, kind in enumerate(kinds):
        parts += _lane(kind, report["murders"], frame, top=frame.bottom + _AXIS + at * _LANE)
    return picture(parts, width=_WIDTH, height=frame.bottom + _AXIS + (len(kinds) + 1) * _LANE)


def _points(per_s: Sequence[int]) -> list[tuple[float, float]]:
    return [(at + 0.5, count) for at, count in enumerate(per_s)]


def _lane(kind: Kind, murders: Sequence[dict[str, Any]], frame: Frame, *, top: int) -> list[str]:
    line = f'<path d="M {_LEFT} {top + _MARK} H {_LEFT + frame.width}" stroke="#dee2e6"/>'
    marks = [_mark(murder, frame, top=top) for murder in murders if murder["kind"] == kind]
    return [text(8, top + _MARK, str(kind), size=12), line, *marks]


def _mark(murder: dict[str, Any], frame: Frame, *, top: int) -> str:
    began, ended = murder["atS"], murder["atS"] if murder["endedS"] is None else murder["endedS"]
    start, width = frame.x(began), max(frame.x(ended) - frame.x(began), _LEAST)
    title = escape(f"{began:.1f} s: {murder['kind']} ({murder['whom']})")
    place = f'x="{start:.1f}" y="{top}" width="{width:.1f}" height="{_MARK}"'
    return f'<g><title>{title}</title><rect {place} fill="{_COLOURS[Kind(murder["kind"])]}"/></g>'
