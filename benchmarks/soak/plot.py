"""Lag, latency, memory, descriptors and processor time over the run, with the swaps marked."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from agents.svg import Frame, picture, rounded, text

_WIDTH = 1000
_LEFT = 64
_HEIGHT = 110
_GAP = 58
_PLACES_Y = 2
_FIRST = 74
_SWAP = "#f08c00"
_WARM_UP = "#e9ecef"
Points = list[tuple[float, float]]
Curve = tuple[str, str, Points]
"""Its name, its colour and its points."""


def svg(found: dict[str, Any]) -> str:
    """Return the picture of a report."""
    minutes = max([sample["at_s"] / 60 for sample in found["samples"]], default=0.0) or 1.0
    title = f"{found['verdict']}: {found['published']:,} events at {found['rate']:g} a second"
    parts = [text(_LEFT, 24, title, weight="bold"), text(_LEFT, 42, found["machine"], size=11)]
    panels = _panels(found)
    for at, (name, curves) in enumerate(panels):
        parts += _panel(name, curves, found, top=_FIRST + at * (_HEIGHT + _GAP), minutes=minutes)
    return picture(parts, width=_WIDTH, height=_FIRST + len(panels) * (_HEIGHT + _GAP))


def _panels(found: dict[str, Any]) -> list[tuple[str, list[Curve]]]:
    samples = found["samples"]
    worker, broker = _series(samples, "worker"), _series(samples, "broker")
    return [
        ("lag, events", [("published less answered", "#1971c2", [(_m(s), float(s["lag"])) for s in samples])]),
        (
            "latency by minute, ms (200 kB left out)",
            [
                ("bulk p99", "#e03131", _by_minute(found, "bulk", "p99Ms")),
                ("bulk p50", "#ffa8a8", _by_minute(found, "bulk", "p50Ms")),
                ("interactive p99", "#5f3dc4", _by_minute(found, "interactive", "p99Ms")),
                ("interactive p50", "#b197fc", _by_minute(found, "interactive", "p50Ms")),
            ],
        ),
        (
            "memory, MB",
            [
                ("worker, resident", "#63e6be", worker("rss_mb")),
                ("worker, its own", "#099268", worker("own_mb")),
                ("broker, its own", "#868e96", broker("own_mb")),
            ],
        ),
        (
            "file descriptors and threads",
            [
                ("worker, descriptors", "#0b7285", worker("descriptors")),
                ("worker, threads", "#3bc9db", worker("threads")),
                ("broker, descriptors", "#868e96", broker("descriptors")),
                ("broker, threads", "#ced4da", broker("threads")),
            ],
        ),
        (
            "processor time, % of one processor",
            [("worker", "#2f9e44", used(worker("cpu_s"))), ("broker", "#868e96", used(broker("cpu_s")))],
        ),
    ]


def used(cpu_s: Points) -> Points:
    """Return the processor time between samples, in percent of the time that passed; times are in minutes."""
    return [
        (at, 100 * (cpu - before) / (60 * (at - since))) for (since, before), (at, cpu) in pairwise(cpu_s) if at > since
    ]


def _panel(name: str, curves: Sequence[Curve], found: dict[str, Any], *, top: int, minutes: float) -> list[str]:
    most = max([value for _, _, points in curves for _, value in points], default=0.0) or 1.0
    frame = Frame(_LEFT, top, _WIDTH - _LEFT - 40, _HEIGHT, most_x=minutes, most_y=rounded(most, _PLACES_Y))
    shade = frame.x(found["warmUpS"] / 60) - _LEFT
    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{shade:.1f}" height="{_HEIGHT}" fill="{_WARM_UP}"/>',
        *(frame.upright(swap["at_s"] / 60, _SWAP, title=f"{swap['label']} deployed") for swap in found["swaps"]),
        *(frame.curve(points, colour) for _, colour, points in curves if points),
        *frame.axes(unit="min", places_y=_PLACES_Y),
    ]
    return parts + _legend(name, curves, top=top)


def _legend(name: str, curves: Iterable[Curve], *, top: int) -> list[str]:
    parts, x = [text(_LEFT, top - 8, name, size=12, weight="bold")], _LEFT + 380
    for words, colour, points in curves:
        if points:
            parts.append(text(x, top - 8, words, size=11, colour=colour))
            x += 140
    return parts


def _series(samples: Sequence[dict[str, Any]], of: str) -> Callable[[str], Points]:
    return lambda field: [(_m(sample), float(sample[of][field])) for sample in samples if sample[of] is not None]


def _by_minute(found: dict[str, Any], kind: str, figure: str) -> Points:
    return [(row["minute"] + 0.5, row[figure]) for row in found["byMinute"] if row["kind"] == kind]


def _m(sample: dict[str, Any]) -> float:
    return float(sample["at_s"]) / 60
