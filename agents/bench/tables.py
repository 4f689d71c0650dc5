"""A report as people read it in a terminal."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from agents.bench.report import NOT_QUIET, TOO_SHORT

TIMES: Final = "\u00d7"
_BAR_WIDTH: Final = 20
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def show(report: dict[str, Any], console: Console) -> None:
    """Print all tables."""
    machine, plan = report["machine"], report["plan"]
    console.print(
        f"[title]{machine['processor']}[/title], {machine['cpus']} processors; {plan['backend']} "
        f"{plan['streams']} {TIMES} {plan['threads']}, micro-batches of {plan['maxPaddedTokens']} tokens"
    )
    console.print("[quiet]" + ", ".join(f"{name} {found}" for name, found in machine["runtimes"].items()) + "[/quiet]")
    if (agreement := report["agreementWithFp32"]) is not None:
        console.print(f"[quiet]its spans agree with FP32's to {agreement:.4f} (F1; at least 0.99 is asked)[/quiet]")
    latency = {each["subject"]: each for each in report["latency"]}
    console.print(_speeds("Realistic mix of lengths", report["mix"], {}))
    console.print(_speeds("Short tickets", report["tickets"], latency))
    console.print(_stages(report["stages"]))
    console.print(_goals(report["goals"], unjudged=report["unjudged"]))
    for line in _checks(report):
        console.print(line)


def bar(share: float, width: int = _BAR_WIDTH) -> str:
    """Return a bar of block characters; a share of 1 fills ``width``."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _speeds(title: str, rows: Sequence[dict[str, Any]], latency: dict[str, dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="title")
    table.add_column("")
    timed_names = ("p50 ms", "p99 ms", "at docs/s") if latency else ()
    for name in ("docs/s", "tokens/s", f"{TIMES} bare", f"{TIMES} naive", *timed_names, "RSS MB", "CPU s/1k"):
        table.add_column(name, justify="right")
    table.add_column("")
    most = max(row["documentsPerS"] for row in rows) or 1.0
    for row in rows:
        table.add_row(
            row["title"],
            f"{row['documentsPerS']:.1f}",
            f"{row['tokensPerS']:,.0f}",
            f"{row['overBare']:.2f}",
            f"{row['overNaive']:.1f}",
            *(_timed(latency.get(row["subject"])) if latency else ()),
            f"{row['rssMb']:,.0f}",
            f"{row['cpuSPer1000']:.1f}",
            f"[bar.full]{bar(row['documentsPerS'] / most)}[/bar.full]",
        )
    return table


def _timed(found: dict[str, Any] | None) -> Sequence[str]:
    """Return the latencies, and the rate at which they were measured: 70 % of the subject's own speed."""
    return (f"{found['p50Ms']:.1f}", f"{found['p99Ms']:.1f}", f"{found['perSecond']:.0f}") if found else ("", "", "")


def _stages(stages: dict[str, dict[str, float]]) -> Table:
    table = Table(
        title="Share of time by stage, exactly once (stages overlap; commit mostly waits for the broker)",
        title_justify="left",
        title_style="title",
    )
    table.add_column("stage")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, share in stages["exactly-once"].items():
        table.add_row(name, f"{share:.1%}", f"[bar.full]{bar(share)}[/bar.full]")
    return table


def _goals(goals: Sequence[dict[str, Any]], *, unjudged: str | None) -> Table:
    table = Table(title="Goals", title_justify="left", title_style="title")
    for name in ("", "found", "rounds", "goal", ""):
        table.add_column(name, justify="left" if not name else "right")
    for goal in goals:
        unit = TIMES if goal["unit"] == "x" else f" {goal['unit']}"
        sign = "≥" if goal["at_least"] else "≤"
        verdict = "[good]met[/good]" if goal["met"] else "[bad]missed[/bad]"
        rounds = f"{min(goal['rounds']):.2f}-{max(goal['rounds']):.2f}" if goal["rounds"] else ""
        table.add_row(
            goal["name"],
            f"{goal['value']:.2f}{unit}",
            rounds,
            f"{sign} {goal['goal']:g}{unit}",
            f"[quiet]{unjudged}[/quiet]" if unjudged else verdict,
        )
    return table


def _checks(report: dict[str, Any]) -> list[str]:
    rows = [*report["mix"], *report["tickets"]]
    lost, extra = sum(row["lost"] for row in rows), sum(row["extra"] for row in rows) + report["leftovers"]
    style = "bad" if lost or extra else "good"
    lines = [f"[{style}]{lost} documents lost, {extra} outputs too many[/{style}], over all subjects"]
    if report["unjudged"] == TOO_SHORT:
        lines.append(f"passes of {report['shortestS']} s are too short for verdicts; run it without --quick")
    if report["others"] is None:
        lines.append("[quiet]whether something else ran meanwhile cannot be known here[/quiet]")
    if report["unjudged"] == NOT_QUIET:
        lines.append(
            f"[bad]others took {report['others']:.0%} of the processors while the bare engine worked[/bad]: "
            "what is measured beside them says little; run it again when nothing else runs"
        )
    lines += [
        f"[quiet]{row['title']}: {row['documentsThatDiffer']} of {row['documentsCompared']} documents have other spans "
        f"than the bare engine (F1 of spans {row['agreementWithBare']:.4f})[/quiet]"
        for row in report["mix"]
        if row["subject"] != "bare"
    ]
    return lines
