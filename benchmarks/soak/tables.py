"""A report as people read it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.soak.report import Verdict, reason
from benchmarks.soak.tally import FAULTS

_STYLES = {Verdict.STEADY: "green", Verdict.NOT_STEADY: "red", Verdict.TOO_SHORT: "yellow"}


def show(found: dict[str, Any], console: Console) -> None:
    """Print the tables and the verdict."""
    for table in (_counts(found), _latencies(found), _trends(found)):
        console.print(table)
    served = [swap["seconds"] for swap in found["swaps"] if swap["seconds"] is not None]
    if served:
        warm = f"{found['servedInWarmUp']} of them while it warmed up"
        console.print(f"{len(served)} models were deployed, {warm}; served after {max(served):.1f} s at most")
    answered = [f"{label} {count:,}" for label, count in found.get("answered", {}).items()]
    if answered:
        console.print(f"documents that each model answered: {', '.join(answered)}")
    for name, examples in found["examples"].items():
        console.print(f"{FAULTS.get(name, name)}, for example: {'; '.join(examples)}")
    how_long = f"{found['seconds'] / 60:.1f} minutes{', interrupted' if found['interrupted'] else ''}"
    style = _STYLES[found["verdict"]]
    console.print(f"[{style}]{found['verdict']}[/{style}] ({how_long}): {reason(found)}")


def _counts(found: dict[str, Any]) -> Table:
    table = Table(title="What came out", title_justify="left")
    table.add_column("")
    table.add_column("events", justify="right")
    table.add_row("published", f"{found['published']:,}")
    table.add_row("came out", f"{found['cameOut']:,}")
    table.add_row("  enriched documents", f"{found['enriched']:,}")
    for error, count in found["deadLetters"].items():
        table.add_row(f"  dead letters: {error}", f"{count:,}")
    table.add_section()
    for name, count in found["faults"].items():
        table.add_row(FAULTS.get(name, name), f"{count:,}")
    table.add_row("held back by an open transaction", f"{found['heldBack']:,}")
    return table


def _latencies(found: dict[str, Any]) -> Table:
    table = Table(title="From publishing to reading, ms", title_justify="left")
    for column in ("documents", "how many", "p50", "p99"):
        table.add_column(column, justify="left" if column == "documents" else "right")
    for kind, figures in found["latencies"].items():
        table.add_row(kind, f"{figures['documents']:,}", f"{figures['p50Ms']:,.0f}", f"{figures['p99Ms']:,.0f}")
    return table


def _trends(found: dict[str, Any]) -> Table:
    title = f"After a warm-up of {found['warmUpS'] / 60:.1f} minutes"
    caption = "an hour: the slope; rise: the median of the last quarter less that of the first; ≤: the bound"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for column in ("of", "what", "median", "most", "an hour", "≤", "rise", "≤"):
        table.add_column(column, justify="left" if column in ("of", "what") else "right")
    for each in found["trends"]:
        grew = [f"{each['per_hour']:+,.1f}", _bound(each["bound"])]
        rose = [f"{each['rise']:+,.1f}", _bound(each["rise_bound"])]
        table.add_row(each["of"], each["name"], f"{each['median']:,.1f}", f"{each['most']:,.1f}", *grew, *rose)
    return table


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
