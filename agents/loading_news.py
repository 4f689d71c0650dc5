"""What a worker says of the models that it loads for deployments, as control events."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from agents.client import SERVE_S
from schemas.base import now
from schemas.control_events import ControlEvent, EventType
from schemas.records import DeploymentRecord

AWAITED: Final = timedelta(seconds=2 * SERVE_S)
"""Who handed a command in may wait so long for its end: a swap's second deployment has its time after the first's."""

Record = tuple[str, str, str]
"""Project, deployment and the command that it is as it is by."""


@dataclass
class LoadingNews:
    """Makes the events of one worker.

    What was deployed before the worker started is none of its successes: it says ``progress`` then, of no command. But
    a worker may have died between taking a command and serving it, so as long as somebody may wait for that command's
    end it is told again.

    Attributes:
        worker: What it is called.
        clock: Tells the time.
    """

    worker: str
    clock: Callable[[], datetime] = now
    _found: frozenset[Record] = field(default_factory=frozenset)

    def start(self, records: Iterable[DeploymentRecord]) -> None:
        """Note what is deployed already."""
        self._found = frozenset(map(_record, records))

    def served(self, record: DeploymentRecord, details: dict[str, Any]) -> ControlEvent:
        """Return the event that says that a deployment's model is loaded."""
        if _record(record) in self._found and self.clock() - record.deployed_at > AWAITED:
            return self._event(record, EventType.PROGRESS, {"stage": "serves"} | details, command_id=None)
        return self._event(record, EventType.SUCCEEDED, details, command_id=record.command_id)

    def refused(self, record: DeploymentRecord, problem: str) -> ControlEvent:
        """Return the event that says that a deployment's model must not be served."""
        return self._event(record, EventType.REJECTED, {"problems": [problem]}, command_id=record.command_id)

    def _event(
        self, record: DeploymentRecord, event: EventType, details: dict[str, Any], *, command_id: str | None
    ) -> ControlEvent:
        facts: dict[str, Any] = {"worker": self.worker, "deployment": record.name, "model": record.model.payload()}
        if _record(record) in self._found:
            facts["atStart"] = True
        return ControlEvent(command_id=command_id, project=record.project, event=event, details=facts | details)


def _record(record: DeploymentRecord) -> Record:
    return record.project, record.name, record.command_id
