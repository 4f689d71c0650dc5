"""Throughput over time with the murders marked, in lines of text for a terminal. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from agents.prove.schedule import Kind

HEIGHT: Final = 6
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_MARKS: Final = {
    Kind.KILL: "k",
    Kind.FREEZE: "f",
    Kind.JOIN: "j",
    Kind.LEAVE: "l",
    Kind.CUT: "c",
    Kind.SLOW: "s",
    Kind.KILL_BROKER: "K",
    Kind.FREEZE_BROKER: "F",
    Kind.RESTART_BROKER: "R",
    Kind.KILL_TRAINER: "t",
    Kind.FREEZE_TRAINER: "z",
}
_SEVERAL: Final = "*"


def chart(report: dict[str, Any], width: int) -> list[str]:
    """Return lines of at most ``width`` characters: what came out a second, who was murdered when, and a legend."""
    out = report["timeline"]["cameOutPerS"]
    if not out:
        return []
    n_columns = max(1, min(len(out), width))
    seconds = len(out) / n_columns
    columns = [_mean(out, at * seconds, (at + 1) * seconds) for at in range(n_columns)]
    most = max(*columns, 1.0)
    bars = ["".join(_block(count / most, level) for count in columns) for level in reversed(range(HEIGHT))]
    kinds = [kind for kind in Kind if any(murder["kind"] == kind for murder in report["murders"])]
    marks = _marks(report["murders"], n_columns, seconds)
    legend = [f"{_MARKS[kind]} {kind}" for kind in kinds] + [f"{_SEVERAL} several of them"] * (_SEVERAL in marks)
    head = f"events a second (highest: {most:,.0f}) over {len(out)} s"
    return [head, *bars, marks, *_wrapped("  ".join(legend), width)]


def _mean(per_s: Sequence[int], start: float, end: float) -> float:
    within = per_s[int(start) : max(int(start) + 1, int(end))]
    return sum(within) / len(within)


def _block(share: float, level: int) -> str:
    filled = share * HEIGHT - level
    return _BLOCKS[max(0, min(len(_BLOCKS) - 1, round(filled * (len(_BLOCKS) - 1))))]


def _marks(murders: Sequence[dict[str, Any]], n_columns: int, seconds: float) -> str:
    line = [" "] * n_columns
    for murder in murders:
        at = min(n_columns - 1, int(murder["atS"] / seconds))
        mark = _MARKS[Kind(murder["kind"])]
        line[at] = mark if line[at] in {" ", mark} else _SEVERAL
    return "".join(line)


def _wrapped(words: str, width: int) -> list[str]:
    lines, line = [], ""
    for part in words.split("  "):
        if line and len(line) + 2 + len(part) > width:
            lines.append(line)
            line = part
        else:
            line = f"{line}  {part}" if line else part
    return [*lines, line] if line else lines
