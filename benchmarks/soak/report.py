"""What a run gave as one JSON-ready value, and the verdict. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from agents.bench.stats import percentile
from benchmarks.soak.sampling import Sample
from benchmarks.soak.tally import FAULTS, Tally
from benchmarks.soak.trends import FEWEST_S, Trend, long_enough, trends, warm_up_s


class Verdict(StrEnum):
    """What is to be said of a run."""

    STEADY = "steady"
    NOT_STEADY = "not steady"
    TOO_SHORT = "too short to tell"


@dataclass(frozen=True)
class Swap:
    """A model that was deployed.

    Attributes:
        at_s: When the command was sent, in seconds since the first output.
        label: Of the model.
        seconds: Until a worker served it; nothing if none did.
        problem: Why not.
    """

    at_s: float
    label: str
    seconds: float | None
    problem: str = ""


@dataclass(frozen=True)
class Findings:
    """What a run gave.

    Attributes:
        minutes: How long it should have been.
        seconds: How long it was, from the first output on.
        rate: Events a second that were asked for.
        interrupted: Whether somebody ended it before its time.
        published: Events that Kafka has.
        n_held_back: Outputs that an open transaction hides.
        ended: What became of the worker, if it ended by itself.
        machine: What it ran on.
        plan: How models ran.
    """

    minutes: float
    seconds: float
    rate: float
    interrupted: bool
    published: int
    tally: Tally
    samples: Sequence[Sample]
    swaps: Sequence[Swap]
    n_held_back: int
    ended: str
    machine: str
    plan: Mapping[str, Any]


def report(findings: Findings) -> dict[str, Any]:
    """Return everything, for a file and for machines."""
    tally, found = findings.tally, trends(findings.samples, rate=findings.rate)
    problems = problems_of(findings, found)
    return {
        "verdict": _verdict(findings, problems),
        "problems": problems,
        "minutes": findings.minutes,
        "seconds": round(findings.seconds, 1),
        "interrupted": findings.interrupted,
        "rate": findings.rate,
        "machine": findings.machine,
        "plan": dict(findings.plan),
        "published": findings.published,
        "cameOut": tally.n_seen,
        "enriched": tally.n_enriched,
        "deadLetters": dict(sorted(tally.dead.items())),
        "faults": {name: tally.faults[name] for name in FAULTS},
        "examples": dict(tally.examples),
        "heldBack": findings.n_held_back,
        "warmUpS": warm_up_s(findings.seconds),
        "trends": [asdict(each) | {"percentPerHour": each.percent_per_hour, "flat": each.flat} for each in found],
        "latencies": latencies(tally),
        "byMinute": by_minute(tally),
        "swaps": [asdict(each) for each in findings.swaps],
        "samples": [asdict(each) for each in findings.samples],
    }


def problems_of(findings: Findings, found: Sequence[Trend]) -> list[str]:
    """Return what is wrong. Slopes of a run that is too short are no problem: they say nothing."""
    faults = [f"{count} {FAULTS[name]}" for name, count in findings.tally.faults.items() if count]
    if findings.n_held_back:
        faults.append(f"{findings.n_held_back} outputs held back by a transaction that nobody ended")
    if findings.ended:
        faults.append(f"the worker ended: {findings.ended}")
    faults += [f"{swap.label} was not served: {swap.problem}" for swap in findings.swaps if swap.problem]
    if long_enough(findings.samples):
        faults += [
            f"{each.of}: {each.name} grew by {each.per_hour:.1f} an hour, expected at most {each.bound:.1f}"
            for each in found
            if each.bound is not None and not each.flat
        ]
    return faults


def _verdict(findings: Findings, problems: Sequence[str]) -> Verdict:
    if problems:
        return Verdict.NOT_STEADY
    return Verdict.STEADY if long_enough(findings.samples) else Verdict.TOO_SHORT


def reason(found: Mapping[str, Any]) -> str:
    """Return what the verdict rests on."""
    if found["problems"]:
        return "; ".join(found["problems"])
    n_left = found["published"] - found["cameOut"]
    counted = f"each of {found['cameOut']:,} events came out once and in order"
    counted += f", {n_left:,} were not waited for" if n_left else ""
    if found["verdict"] == Verdict.TOO_SHORT:
        return f"{counted}; slopes are judged from {FEWEST_S / 60:.0f} minutes after the warm-up on"
    return f"{counted}; lag, memory, file descriptors and threads stay within their bounds"


def latencies(tally: Tally) -> dict[str, dict[str, float]]:
    """Return the latencies of each kind of document over the whole run, in ms."""
    kinds = sorted({kind for _, kind in tally.latencies})
    return {
        kind: _figures([took for (_, other), values in tally.latencies.items() if other == kind for took in values])
        for kind in kinds
    }


def by_minute(tally: Tally) -> list[dict[str, Any]]:
    """Return the latencies of each minute and kind, in ms."""
    return [
        {"minute": minute, "kind": kind} | _figures(values)
        for (minute, kind), values in sorted(tally.latencies.items())
    ]


def _figures(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "documents": len(seconds),
        "p50Ms": round(1000 * percentile(seconds, 0.5), 1),
        "p99Ms": round(1000 * percentile(seconds, 0.99), 1),
    }
