"""What a run gave as one JSON-ready value, and the verdict. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from agents.bench.stats import percentile
from benchmarks.soak.sampling import Sample, sample_of
from benchmarks.soak.swaps import Swap, held_against
from benchmarks.soak.tally import FAULTS, Tally
from benchmarks.soak.trends import FEWEST_S, STREAM, WORKER, drifts, long_enough, trends, warm_up_s

_OF_DRIFTS = (f"{WORKER}: ", f"{STREAM}: ")


class Verdict(StrEnum):
    """What is to be said of a run."""

    STEADY = "steady"
    NOT_STEADY = "not steady"
    TOO_SHORT = "too short to tell"


@dataclass(frozen=True)
class Findings:
    """What a run gave.

    Attributes:
        minutes: How long it should have been.
        seconds: How long it was, from the first output on.
        until_s: When the last output was seen, if that was before.
        rate: Events a second that were asked for.
        interrupted: Whether somebody ended it before its time.
        published: Events that Kafka has.
        n_held_back: Outputs that an open transaction hides.
        problems: What else went wrong.
        machine: What it ran on.
        digests: Of the models, by label.
        plan: How models ran.
    """

    minutes: float
    seconds: float
    until_s: float
    rate: float
    interrupted: bool
    published: int
    tally: Tally
    samples: Sequence[Sample]
    swaps: Sequence[Swap]
    n_held_back: int
    problems: Sequence[str]
    machine: str
    digests: Mapping[str, str]
    plan: Mapping[str, Any]


def report(findings: Findings) -> dict[str, Any]:
    """Return everything, for a file and for machines."""
    tally, counted, digests = findings.tally, findings.tally.checker, findings.digests
    swaps = held_against(findings.swaps, tally.switched, digests=digests, until_s=findings.until_s)
    found = {
        "verdict": "",
        "problems": problems_of(findings, swaps),
        "minutes": findings.minutes,
        "seconds": round(findings.seconds, 1),
        "interrupted": findings.interrupted,
        "rate": findings.rate,
        "machine": findings.machine,
        "plan": dict(findings.plan),
        "published": findings.published,
        "cameOut": tally.n_seen,
        "enriched": counted.n_enriched,
        "answered": {label: tally.answered[digest] for label, digest in digests.items()},
        "deadLetters": dict(sorted(counted.dead.items())),
        "faults": {name: counted.faults[name] for name in FAULTS},
        "examples": dict(counted.examples),
        "heldBack": findings.n_held_back,
        "warmUpS": warm_up_s(findings.seconds),
        "trends": [],
        "latencies": latencies(tally),
        "byMinute": by_minute(tally),
        "swaps": [asdict(each) for each in swaps],
        "samples": [asdict(each) for each in findings.samples],
    }
    return judged(found, findings.samples)


def judge(path: Path) -> dict[str, Any]:
    """Return a report that was written to a file, with what was sampled judged as it is today."""
    found = orjson.loads(path.read_bytes())
    return judged(found, [sample_of(each) for each in found["samples"]])


def judged(found: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    """Return a report with trends, the problems that they tell, in place of any earlier ones, and the verdict."""
    figures = trends(samples, rate=found["rate"])
    problems = [each for each in found["problems"] if not each.startswith(_OF_DRIFTS)]
    problems += drifts(samples, figures)
    return {
        **found,
        "verdict": _verdict(samples, problems),
        "problems": problems,
        "servedInWarmUp": sum(_served_s(swap) <= found["warmUpS"] for swap in found["swaps"]),
        "trends": [
            asdict(each) | {"percentPerHour": each.percent_per_hour, "flat": not each.problem} for each in figures
        ],
    }


def problems_of(findings: Findings, swaps: Sequence[Swap]) -> list[str]:
    """Return what is wrong, but for what was sampled."""
    faults = [f"{count} {FAULTS[name]}" for name, count in findings.tally.checker.faults.items() if count]
    if findings.n_held_back:
        faults.append(f"{findings.n_held_back} outputs held back by a transaction that nobody ended")
    faults += findings.problems
    return faults + [f"{swap.label} was not served: {swap.problem}" for swap in swaps if swap.problem]


def _served_s(swap: Mapping[str, Any]) -> float:
    """Return when a swap was over."""
    return math.inf if swap["seconds"] is None else float(swap["at_s"] + swap["seconds"])


def _verdict(samples: Sequence[Sample], problems: Sequence[str]) -> Verdict:
    if problems:
        return Verdict.NOT_STEADY
    return Verdict.STEADY if long_enough(samples) else Verdict.TOO_SHORT


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
