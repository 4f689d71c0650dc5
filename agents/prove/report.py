"""What a run gave as one JSON-ready value, and the verdict. Pure."""

from collections import Counter
from enum import StrEnum
from typing import Any, Final

from agents.prove.checker import FAULTS
from agents.prove.endings import mistakes
from agents.prove.group import Lag
from agents.prove.murders import Deed, n_murders
from agents.prove.recovered import recovered
from agents.prove.recovery import Place, Stop
from agents.prove.run import Findings
from agents.prove.schedule import BROKER_KINDS
from agents.prove.workers import Membership

_LEAST_MODELS: Final = 2


class Verdict(StrEnum):
    """What is to be said of a run."""

    EXACTLY_ONCE = "exactly once"
    BROKEN = "not exactly once"
    NOTHING_PROVEN = "nothing proven"


def report(findings: Findings) -> dict[str, Any]:
    """Return everything, for a file and for machines."""
    order, checker, timeline = findings.order, findings.checker, findings.timeline
    return {
        "verdict": verdict(findings),
        "reason": reason(findings),
        "seed": order.seed,
        "sabotage": order.sabotage,
        "events": order.n_events,
        "seconds": round(findings.seconds, 1),
        "published": timeline.n_published,
        "cameOut": checker.n_seen,
        "enriched": checker.n_enriched,
        "longDocuments": checker.n_long,
        "deadLetters": dict(sorted(checker.dead.items())),
        "faults": {name: checker.faults[name] for name in FAULTS},
        "examples": dict(checker.examples),
        "notCommitted": findings.lag and findings.lag.n_behind,
        "committedBeyond": findings.lag and findings.lag.n_beyond,
        "heldBack": findings.n_held_back,
        "publishersReplaced": findings.n_publishers_replaced,
        "models": {
            "deployed": findings.n_deploys,
            "served": checker.commands.n_served,
            "trained": checker.commands.n_trained,
            "answered": n_answered(findings),
            "switchedRecords": sum(map(len, checker.switches.values())),
        },
        "commands": {
            "handedIn": len(checker.commands.handed),
            "messages": checker.commands.n_messages,
            "byName": dict(Counter(each.command for each in checker.commands.handed.values())),
        },
        "slowReaderBehind": findings.n_behind,
        "workers": {
            "atFirst": order.n_workers,
            "started": findings.n_started,
            "endedByThemselves": dict(findings.ends),
            "mistakes": mistakes(findings.ends),
        },
        "recovery": recovered(findings.deeds),
        "brokerNodes": findings.n_nodes,
        "murders": [_murder(deed) for deed in findings.deeds],
        "murdersByKind": dict(Counter(str(deed.murder.kind) for deed in findings.deeds)),
        "murdersWithoutVictim": len(findings.skipped),
        "longestSilenceS": round(timeline.longest_silence_s, 2),
        "secondsWatched": timeline.n_seconds,
        "secondsWithOutput": timeline.n_seconds_with_output,
        "timeline": {"publishedPerS": timeline.in_per_s, "cameOutPerS": timeline.out_per_s},
    }


def n_answered(findings: Findings) -> int:
    """Return how many models answered."""
    return len({run.digest for ledger in findings.checker.ledgers.values() for run in ledger.runs})


def verdict(findings: Findings) -> Verdict:
    """Return what is to be said: a run in which nobody died, or nothing was swapped, proves nothing."""
    if any(findings.checker.faults.values()) or findings.n_held_back or findings.lag != Lag():
        return Verdict.BROKEN
    if not n_murders(findings.deeds) or n_answered(findings) < _LEAST_MODELS:
        return Verdict.NOTHING_PROVEN
    return Verdict.EXACTLY_ONCE


def reason(findings: Findings) -> str:
    """Return what the verdict rests on."""
    found = [f"{count} {FAULTS[name]}" for name, count in findings.checker.faults.items() if count]
    if findings.n_held_back:
        found.append(f"{findings.n_held_back} messages held back by a transaction that nobody ended")
    found += _told(findings.lag)
    if found:
        return ", ".join(found)
    if not n_murders(findings.deeds):
        return "nobody was murdered"
    if n_answered(findings) < _LEAST_MODELS:
        return "no model was swapped"
    return (
        f"{findings.order.n_events} events and {n_murders(findings.deeds)} murders: each event came out once, "
        "in order, by the model that the log names"
    )


def _told(lag: Lag | None) -> list[str]:
    if lag is None:
        return ["Kafka did not say how far the group has committed"]
    counts = {"not consumed, says the group": lag.n_behind, "committed beyond the end of a partition": lag.n_beyond}
    return [f"{count} events {what}" for what, count in counts.items() if count]


def _murder(deed: Deed) -> dict[str, Any]:
    return {
        "kind": deed.murder.kind,
        "whom": deed.whom,
        "atS": round(deed.began_s, 2),
        "endedS": None if deed.ended_s is None else round(deed.ended_s, 2),
        "member": _member(deed),
        "partitions": _partitions(deed.stop),
        "recoveredS": deed.stop and deed.stop.worst_s and round(deed.stop.worst_s, 2),
        "neverMoved": [_shown(place) for place in sorted(deed.stop.never)] if deed.stop else [],
    }


def _member(deed: Deed) -> Membership | None:
    """Return how the victim belongs to its group; brokers belong to none."""
    if deed.murder.kind in BROKER_KINDS:
        return None
    return Membership.STATIC if deed.static else Membership.DYNAMIC


def _partitions(stop: Stop | None) -> dict[str, float | None]:
    """Return the seconds until each partition moved again, by its lane and number."""
    seconds = stop.seconds.items() if stop else ()
    return {_shown(place): None if moved is None else round(moved, 2) for place, moved in sorted(seconds)}


def _shown(place: Place) -> str:
    topic, number = place
    return f"{topic.rpartition('.')[2]}/{number}"
