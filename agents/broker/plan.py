"""What the nodes of a cluster must agree on, kept in their home; and how many nodes a home is for."""

import base64
import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.errors import InvalidInput


@dataclass(frozen=True)
class Plan:
    """The id of a cluster, and the controllers' ports, the first node's first."""

    id: str
    ports: tuple[int, ...]


def folder_of(home: Path) -> Path:
    """Return where a home keeps its broker or its cluster."""
    return home.absolute() / "broker"


def read_plan(home: Path) -> Plan | None:
    """Return what was written last; ``None`` if ``home`` holds no cluster."""
    try:
        found = json.loads(_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Plan(found["id"], tuple(found["ports"]))


def write_plan(home: Path, plan: Plan) -> None:
    """Write ``plan``; a reader sees all of it or nothing."""
    draft = _file(home).with_suffix(".new")
    draft.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    draft.replace(_file(home))


def kept_nodes(home: Path) -> int:
    """Return of how many nodes there is data in ``home``; 0 if no local broker was ever started there."""
    if plan := read_plan(home):
        return len(plan.ports)
    return int((folder_of(home) / "data" / "meta.properties").exists())


def require_nodes(home: Path, wanted: int) -> None:
    """Return if there is no data in ``home``, or that of ``wanted`` nodes.

    Raises:
        InvalidInput: It is of another number; says what to do.
    """
    if (there := kept_nodes(home)) not in (0, wanted):
        what = "a single broker" if there == 1 else f"a cluster of {there}"
        raise InvalidInput(
            [
                f"{folder_of(home)} holds the data of {what}, expected {wanted} node{'s' * (wanted > 1)}: "
                f"start it with --nodes {there}, or give another --home"
            ]
        )


def new_cluster_id() -> str:
    """Return a fresh one."""
    # A leading letter, since Kafka's tool would take a leading hyphen for an option.
    return "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _file(home: Path) -> Path:
    return folder_of(home) / "cluster.json"
