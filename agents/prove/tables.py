"""A report as people read it in a terminal."""

from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agents.bench.tables import TIMES
from agents.prove.chart import chart
from agents.prove.checker import FAULTS
from agents.prove.report import Verdict

_STYLES = {Verdict.EXACTLY_ONCE: "good", Verdict.BROKEN: "bad", Verdict.NOTHING_PROVEN: "middling"}

_RECOVERY: Final = "Until all partitions of a worker moved again"


def show(report: dict[str, Any], console: Console) -> None:
    """Print the tables and the verdict."""
    for line in chart(report, console.width):
        console.print(line, markup=False, highlight=False)
    console.print(_murders(report))
    if report["recovery"]:
        console.print(_recovery(report))
    console.print(_counts(report))
    for name, examples in report["examples"].items():
        console.print(f"[quiet]{FAULTS[name]}, for example: {'; '.join(examples)}[/quiet]")
    workers, models = report["workers"], report["models"]
    console.print(
        f"[quiet]{workers['started']} processes were started; models deployed {models['deployed']} times, "
        f"served {models['served']} times, {models['answered']} answered, "
        f"{models['switchedRecords']} switched records, {models['trained']} trained; "
        f"{report['commands']['handedIn']} commands handed in {report['commands']['messages']} times; something "
        f"came out in {report['secondsWithOutput']} of {report['secondsWatched']} s, longest silence "
        f"{report['longestSilenceS']:.1f} s; seed {report['seed']}, {report['seconds']:.0f} s in all[/quiet]"
    )
    for end, count in workers["endedByThemselves"].items():
        style, why = ("bad", " by a mistake of ours") if end in workers["mistakes"] else ("quiet", "")
        console.print(f"[{style}]{count} {TIMES} a process ended by itself{why}: {end}[/{style}]")
    style = _STYLES[report["verdict"]]
    mark = "✓" if report["verdict"] == Verdict.EXACTLY_ONCE else "✗"
    console.print(f"[{style}]{mark} {report['verdict']}[/{style}]: {report['reason']}")


def _murders(report: dict[str, Any]) -> Table:
    table = Table(title="What was done", title_justify="left", title_style="title")
    table.add_column("")
    table.add_column("times", justify="right")
    for kind, count in sorted(report["murdersByKind"].items()):
        table.add_row(kind, str(count))
    return table


def _recovery(report: dict[str, Any]) -> Table:
    rows = report["recovery"]
    some_never = any(row["never"] for row in rows)
    # In 80 columns the first has to give way, and words it can be broken between.
    table = Table(title=_RECOVERY, title_justify="left", title_style="title", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("member", no_wrap=True)
    for name in ("times", "median", "worst", *(["never"] if some_never else []), "undisturbed"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        never = [f"[bad]{row['never']}[/bad]" if row["never"] else "-"] if some_never else []
        times, median, worst = _seconds(row["undisturbed"])
        alone = f"{times}: {median}, {worst}" if row["undisturbed"]["times"] else "-"
        table.add_row(row["kind"], row["membership"], *_seconds(row), *never, alone)
    return table


def _seconds(row: dict[str, Any]) -> list[str]:
    figures = (row["medianS"], row["worstS"])
    return [str(row["times"]), *("-" if figure is None else f"{figure:.1f} s" for figure in figures)]


def _counts(report: dict[str, Any]) -> Table:
    table = Table(title="What came out", title_justify="left", title_style="title")
    table.add_column("")
    table.add_column("events", justify="right")
    table.add_row("published", f"{report['published']:,}")
    table.add_row("came out", f"{report['cameOut']:,}")
    table.add_row("  enriched documents", f"{report['enriched']:,}")
    table.add_row("    too long for a window", f"{report['longDocuments']:,}")
    for error, count in report["deadLetters"].items():
        table.add_row(f"  dead letters: {error}", f"{count:,}")
    rows = [(FAULTS[name], count) for name, count in report["faults"].items()]
    rows.append(("not consumed, says the group", report["notCommitted"]))
    rows.append(("committed beyond the end", report["committedBeyond"]))
    rows.append(("held back by an open transaction", report["heldBack"]))
    table.add_section()
    for name, count in rows:
        style = "good" if count == 0 else "bad"
        table.add_row(name, f"[{style}]{'unknown' if count is None else f'{count:,}'}[/{style}]")
    return table
