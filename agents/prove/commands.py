"""What became of each command that was handed in, by the log alone. Knows the protocol as it is documented."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

DEPLOY: Final = "deploy"
TRAIN: Final = "train"
DECISIONS: Final = frozenset({"accepted", "rejected"})
ENDS: Final = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Handed:
    """A command that was handed in.

    Attributes:
        command: Its name.
        model: That a training is to make: ``PROJECT/LABEL``.
    """

    command: str
    model: str = ""


@dataclass
class CommandBook:
    """Counts decisions, records and ends. One thread hands in, another reads the log.

    Attributes:
        handed: The commands by their ids.
        n_messages: How often they were handed in, repetitions included.
    """

    handed: dict[str, Handed] = field(default_factory=dict)
    n_messages: int = 0
    _decisions: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _ends: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _served: set[str] = field(default_factory=set)
    _records: Counter[str] = field(default_factory=Counter)
    _deployed: Counter[str] = field(default_factory=Counter)
    _models: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def event(self, event: Mapping[str, Any]) -> None:
        """Take a control event down."""
        command_id, kind = event.get("commandId"), event.get("event", "")
        if command_id not in self.handed:
            return
        if kind in DECISIONS:
            self._decisions[command_id].append(kind)
        elif kind in ENDS and event["details"].get("jobId") == command_id:
            self._ends[command_id].append(kind)
        if kind == "succeeded" and "worker" in event["details"]:
            self._served.add(command_id)

    def record(self, key: str, record: Mapping[str, Any]) -> None:
        """Take a record of the registry down."""
        kind, _, name = key.partition("/")
        if kind == "command":
            self._records[name] += 1
        elif kind == "deployment":
            self._deployed[record["commandId"]] += 1
        elif kind == "model":
            self._models[name].append(record["digest"])

    def ended(self, command_id: str) -> bool:
        """Whether a training has ended."""
        return bool(self._ends.get(command_id)) or "rejected" in self._decisions.get(command_id, ())

    def accepted(self, command_id: str) -> bool:
        """Whether a command was accepted."""
        return "accepted" in self._decisions.get(command_id, ())

    def served(self, command_id: str) -> bool:
        """Whether a worker served what was deployed, or none will: the command was rejected."""
        return command_id in self._served or "rejected" in self._decisions.get(command_id, ())

    def digests(self, model: str) -> Sequence[str]:
        """Return the models that were written under a project's label."""
        return self._models.get(model, ())

    @property
    def n_served(self) -> int:
        """How many deployments a worker served; others may have been overtaken by the next."""
        return sum(each.command == DEPLOY and name in self._served for name, each in self.handed.items())

    @property
    def n_trained(self) -> int:
        """How many trainings made one model."""
        return sum(each.command == TRAIN and len(self.digests(each.model)) == 1 for each in self.handed.values())

    def faults(self) -> Iterator[tuple[str, str]]:
        """Return each thing that is wrong: its name among the checker's faults, and what it is.

        A deployment may be overtaken by the next before a worker has loaded its model, so only the last has to be
        served.
        """
        last = next((name for name, handed in reversed(self.handed.items()) if handed.command == DEPLOY), None)
        for command_id, handed in self.handed.items():
            if problem := self._wrong_decision(command_id, handed):
                yield "command", f"{handed.command} {command_id}: {problem}"
            elif command_id == last and command_id not in self._served:
                yield "command", f"{handed.command} {command_id}: no worker served it, and nothing overtook it"
            elif handed.command == TRAIN and (problem := self._wrong_end(command_id, handed)):
                yield "job", f"the training of {handed.model}: {problem}"

    def _wrong_decision(self, command_id: str, handed: Handed) -> str | None:
        decisions = self._decisions.get(command_id, [])
        if decisions != ["accepted"] or self._records[command_id] != 1:
            return f"it was {' and '.join(decisions) or 'not decided'}, with {self._records[command_id]} records"
        if handed.command == DEPLOY and self._deployed[command_id] != 1:
            return f"it was deployed {self._deployed[command_id]} times"
        return None

    def _wrong_end(self, command_id: str, handed: Handed) -> str | None:
        ends, n_models = self._ends.get(command_id, []), len(self.digests(handed.model))
        if ends == ["succeeded"] and n_models == 1:
            return None
        return f"it ended {len(ends)} times ({', '.join(ends) or 'never'}) and made {n_models} models"
