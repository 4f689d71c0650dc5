"""What was found out as one JSON-ready value: speeds, ratios, goals, checks. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from agents.bench.findings import MIX, TICKETS, Findings, Pass
from agents.bench.others import is_quiet
from agents.bench.stats import f1, median_ratio, n_different, percentile, ratios, shares
from agents.bench.timetable import MIXED_SUBJECTS, TICKET_SUBJECTS, TITLES

NOT_QUIET: Final = "not quiet"
TOO_SHORT: Final = "too short"
_MILLION: Final = 1e6
_THOUSAND: Final = 1e3
_LONG_ENOUGH_S: Final = 4.0
"""Shorter passes through Kafka are mostly the first window on its way in, and the last on its way out."""
_WAITING: Final = frozenset({"model", "poll"})
"""Stages that contain others, or in which nothing is done."""
STAGES: Final = {
    "decode": "decode events",
    "model_tokenise": "tokenise",
    "model_segment": "segment",
    "model_forward": "forward",
    "model_head": "head",
    "model_decode": "decode spans",
    "encode": "encode",
    "commit": "commit",
}


@dataclass(frozen=True)
class Goal:
    """A figure to reach.

    Attributes:
        name: What is measured.
        value: What was found.
        goal: What it should be.
        at_least: Whether more is better; else less is.
        unit: Of the value.
        rounds: What each round found, where there are several.
    """

    name: str
    value: float
    goal: float
    at_least: bool
    unit: str = "x"
    rounds: Sequence[float] = ()

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def to_json(self, *, judged: bool) -> dict[str, Any]:
        """Return it for machines; with no verdict where nothing may be ``judged``."""
        return {
            **asdict(self),
            "rounds": [round(each, 4) for each in self.rounds],
            "met": self.met if judged else None,
        }


def ratio(findings: Findings, subject: str, other: str, documents: str = MIX) -> float:
    """Return the median over the rounds of one subject's tokens a second over another's."""
    return median_ratio(*_speeds(findings, subject, other, documents))


def _speeds(findings: Findings, subject: str, other: str, documents: str) -> tuple[list[float], list[float]]:
    """Return the tokens a second of two subjects, round by round."""
    one, two = ([each.tokens_per_s for each in findings.of(name, documents)] for name in (subject, other))
    return one, two


def _ratio_goal(findings: Findings, subject: str, other: str, goal: float, *, name: str) -> Goal:
    speeds = _speeds(findings, subject, other, MIX)
    return Goal(name, median_ratio(*speeds), goal, at_least=True, rounds=ratios(*speeds))


def echo_us(findings: Findings) -> float:
    """Return the processor time of an event without a model, in microseconds."""
    return median(each.cpu_s / each.n_documents for each in findings.of("echo", MIX)) * _MILLION


def goals(findings: Findings) -> list[Goal]:
    """Return the goals with what was found."""
    latencies = {each.subject: each.seconds for each in findings.latencies}
    return [
        _ratio_goal(findings, "exactly-once", "bare", 0.90, name="exactly once / bare engine"),
        _ratio_goal(findings, "exactly-once", "naive", 10.0, name="exactly once / naive worker"),
        _ratio_goal(findings, "exactly-once", "at-least-once", 0.98, name="exactly once / at least once"),
        _ratio_goal(findings, "bare", "torch", 8.0, name="bare engine / torch FP32 in batches of 32"),
        Goal("processor time of an event without a model", echo_us(findings), 60.0, at_least=False, unit="µs"),
        Goal(
            "p99 latency of tickets at 70 % load",
            percentile(latencies["exactly-once"], 0.99) * _THOUSAND,
            50.0,
            at_least=False,
            unit="ms",
        ),
    ]


def report(findings: Findings) -> dict[str, Any]:
    """Return everything, for a file and for machines."""
    tuning, unjudged = findings.tuning, _unjudged(findings)
    return {
        "machine": tuning.machine.payload(),
        "plan": tuning.plan.payload(),
        "agreementWithFp32": next((t.agreement for t in tuning.trials if t.plan.backend == tuning.plan.backend), None),
        "trials": [trial.payload() for trial in tuning.trials],
        MIX: [_row(findings, name, MIX) for name in MIXED_SUBJECTS],
        TICKETS: [_row(findings, name, TICKETS) for name in TICKET_SUBJECTS],
        "latency": [
            {
                "subject": each.subject,
                "perSecond": round(each.per_s, 1),
                "p50Ms": round(percentile(each.seconds, 0.5) * _THOUSAND, 2),
                "p99Ms": round(percentile(each.seconds, 0.99) * _THOUSAND, 2),
                "n": len(each.seconds),
            }
            for each in findings.latencies
        ],
        "echoCpuUsPerEvent": round(echo_us(findings), 2),
        "stages": {name: _stages(findings.of(name, MIX)) for name in ("exactly-once", "at-least-once")},
        "goals": [goal.to_json(judged=unjudged is None) for goal in goals(findings)],
        "others": findings.others,
        "unjudged": unjudged,
        "shortestS": round(findings.shortest_s, 1),
        "leftovers": findings.n_leftovers,
        "seconds": round(findings.seconds, 1),
    }


def _unjudged(findings: Findings) -> str | None:
    """Return why nobody should hold these findings against the goals, if so."""
    if not is_quiet(findings.others):
        return NOT_QUIET
    return TOO_SHORT if findings.shortest_s < _LONG_ENOUGH_S else None


def _row(findings: Findings, subject: str, documents: str) -> dict[str, Any]:
    passes = findings.of(subject, documents)
    expected = {name: spans for each in findings.of("bare", documents)[:1] for name, spans in each.spans.items()}
    found = {name: spans for each in passes for name, spans in each.spans.items() if name in expected}
    return {
        "subject": subject,
        "title": TITLES[subject],
        "documentsPerS": round(median(each.documents_per_s for each in passes), 2),
        "tokensPerS": round(median(each.tokens_per_s for each in passes), 1),
        "overBare": round(ratio(findings, subject, "bare", documents), 4),
        "overNaive": round(ratio(findings, subject, "naive", documents), 3),
        "cpuSPer1000": round(median(each.cpu_s / each.n_documents for each in passes) * _THOUSAND, 3),
        "rssMb": round(max(each.rss_mb for each in passes), 1),
        "documentsThatDiffer": n_different(found, expected),
        "documentsCompared": len(found),
        "agreementWithBare": round(f1(found, expected), 4),
        "lost": sum(each.lost for each in passes),
        "extra": sum(each.extra for each in passes),
        "rounds": [_round(each) for each in passes],
    }


def _round(each: Pass) -> dict[str, Any]:
    return {
        "documents": each.n_documents,
        "seconds": round(each.seconds, 3),
        "documentsPerS": round(each.documents_per_s, 2),
        "tokensPerS": round(each.tokens_per_s, 1),
        "cpuS": round(each.cpu_s, 3),
    }


def _stages(passes: Sequence[Pass]) -> dict[str, float]:
    """Return the share of each stage in the time of all stages."""
    totals: dict[str, float] = {}
    for each in passes:
        for stage, seconds in each.stages.items():
            if stage not in _WAITING:
                totals[STAGES.get(stage, stage)] = totals.get(STAGES.get(stage, stage), 0.0) + seconds
    return {name: round(share, 4) for name, share in shares(totals).items()}
