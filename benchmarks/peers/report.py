"""Measurements to a table and to JSON. Pure, but for the printing."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers.measure import Measurement

OURS = "ours"


@dataclass(frozen=True)
class Row:
    """What all rounds of one subject gave.

    Attributes:
        measurements: The rounds that gave an answer or none.
        problem: Why there are no measurements, or what was wrong with one.
    """

    name: str
    version: str
    guarantee: str
    measurements: tuple[Measurement, ...] = ()
    problem: str = ""

    @property
    def rates(self) -> list[float]:
        """Documents a second of the rounds that answered anything."""
        return [each.documents_per_s for each in self.measurements if each.verdict.n_answered]

    @property
    def rate(self) -> float | None:
        """Their median."""
        return median(self.rates) if self.rates else None

    @property
    def problems(self) -> str:
        """Everything that went wrong, in words."""
        return self.problem or next((each.problem for each in self.measurements if each.problem), "")


def ratio(ours: Row | None, peer: Row) -> float | None:
    """Return how many times as fast ours is as ``peer``: median over median."""
    return ours.rate / peer.rate if ours and ours.rate and peer.rate else None


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything that was measured."""
    ours = next((row for row in rows if row.name == OURS), None)
    return {
        "machine": {"processor": processor(), "cores": len(os.sched_getaffinity(0)), "system": platform.platform()},
        "subjects": [
            {
                "name": row.name,
                "version": row.version,
                "guarantee": row.guarantee,
                "documentsPerSecond": row.rate,
                "oursOverThis": ratio(ours, row),
                "problem": row.problems,
                "rounds": [{**asdict(each), "documents_per_s": each.documents_per_s} for each in row.measurements],
            }
            for row in rows
        ],
    }


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Print one line a subject."""
    ours = next((row for row in rows if row.name == OURS), None)
    table = Table(
        title="The same documents, model and broker", caption=f"{processor()}, {len(os.sched_getaffinity(0))} cores"
    )
    for title in ("subject", "guarantee"):
        table.add_column(title, no_wrap=True)
    for title in ("docs/s", "(min-max)", "ours ÷ it", "spans right", "lost / twice", "RSS MB", "CPU s / 1,000"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.name, row.guarantee, *cells(row, ours))
    console.print(table)
    for row in rows:
        said = f": {row.problems}" if row.problems else ""
        console.print(f"{row.name} is {row.version}{said}", markup=False, highlight=False, soft_wrap=True)


def cells(row: Row, ours: Row | None) -> list[str]:
    """Return the figures of a table's line; dashes where there are none."""
    answered = [each for each in row.measurements if each.verdict.n_answered]
    if not answered or row.rate is None:
        return ["-"] * 7
    total = _sums(row.measurements)
    times = ratio(ours, row)
    return [
        f"{row.rate:.1f}",
        f"({min(row.rates):.1f}-{max(row.rates):.1f})",
        f"{times:.1f} x" if times else "-",
        f"{total['right']:,} of {total['answered']:,}",
        f"{total['lost']:,} / {total['twice']:,}",
        f"{max(each.peak_bytes for each in answered) / 1e6:,.0f}",
        f"{median(1000 * each.cpu_s / each.verdict.n_answered for each in answered):.1f}",
    ]


def _sums(measurements: Sequence[Measurement]) -> Mapping[str, int]:
    def total(figure: Callable[[Measurement], int]) -> int:
        return sum(map(figure, measurements))

    return {
        "right": total(lambda each: each.verdict.n_right),
        "answered": total(lambda each: each.verdict.n_answered),
        "lost": total(lambda each: each.verdict.n_lost),
        "twice": total(lambda each: each.verdict.n_duplicated),
    }


def processor() -> str:
    """Return what the processor is called."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
