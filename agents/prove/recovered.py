"""How fast the partitions of murdered workers moved again, by what was done to whom. Pure."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from agents.prove.murders import Deed
from agents.prove.schedule import TRAINER_KINDS, Kind
from agents.prove.workers import Membership

SETTLES_S: Final = 8.0
"""How long after a murder another one is disturbed by it: a session timeout, and the rebalance that follows."""
_HARMLESS: Final = frozenset({*TRAINER_KINDS, Kind.SLOW})


def recovered(deeds: Sequence[Deed]) -> list[dict[str, Any]]:
    """Return a row for each kind and membership: how many, and the seconds until all partitions moved again.

    Those of which a partition never did are counted apart. Those without partitions, and those after which nothing was
    left to read, are left out.
    """
    found: dict[tuple[str, str], list[Deed]] = defaultdict(list)
    for deed in deeds:
        if deed.stop is not None and (deed.stop.never or deed.stop.worst_s is not None):
            membership = Membership.STATIC if deed.static else Membership.DYNAMIC
            found[str(deed.murder.kind), str(membership)].append(deed)
    return [
        {"kind": kind, "membership": membership, **_row(of_kind, deeds)}
        for (kind, membership), of_kind in sorted(found.items())
    ]


def undisturbed(deed: Deed, deeds: Sequence[Deed]) -> bool:
    """Whether nobody else suffered anything that touches the group, from a while before until all moved again."""
    until = _recovered_at_s(deed)
    return not any(
        other is not deed
        and other.murder.kind not in _HARMLESS
        and other.began_s < until
        and _over(other) + SETTLES_S > deed.began_s
        for other in deeds
    )


def _over(deed: Deed) -> float:
    return max(deed.ended_s or deed.began_s, _recovered_at_s(deed))


def _recovered_at_s(deed: Deed) -> float:
    if deed.stop is None:
        return deed.began_s
    return math.inf if deed.stop.never else deed.began_s + (deed.stop.worst_s or 0.0)


def _row(of_kind: Sequence[Deed], deeds: Sequence[Deed]) -> dict[str, Any]:
    alone = [deed for deed in of_kind if undisturbed(deed, deeds)]
    never = sum(bool(deed.stop and deed.stop.never) for deed in of_kind)
    return {**_seconds(of_kind), "never": never, "undisturbed": _seconds(alone)}


def _seconds(deeds: Sequence[Deed]) -> dict[str, Any]:
    seconds = [deed.stop.worst_s for deed in deeds if deed.stop and deed.stop.worst_s is not None]
    if not seconds:
        return {"times": 0, "medianS": None, "worstS": None}
    return {"times": len(seconds), "medianS": round(median(seconds), 2), "worstS": round(max(seconds), 2)}
