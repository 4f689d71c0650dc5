"""Which settings keep a tuned plan from serving: those of this process, for nobody knows what workers have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.plans import Plan, Tuning

if TYPE_CHECKING:
    from agents.settings import Origin, Settings


@dataclass(frozen=True, slots=True)
class Override:
    """A setting because of which another plan serves than the tuning's.

    Attributes:
        setting: Its name.
        value: What it is set to.
        origin: Where that is set.
        plan: What serves instead; nothing if this tuning does not say.
    """

    setting: str
    value: object
    origin: str
    plan: Plan | None = None

    def payload(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "setting": self.setting,
            "value": self.value,
            "origin": self.origin,
            "plan": self.plan.payload() if self.plan else None,
        }


def overrides_of(tuning: Tuning, settings: "Settings", origins: "Mapping[str, Origin]") -> list[Override]:
    """Return the settings with which a worker on the tuning's machine would not serve with its plan."""
    found = []
    if settings.backend not in {"auto", tuning.plan.backend}:
        trial = tuning.fastest(settings.backend)
        plan = trial.plan if trial else None
        found.append(Override("backend", settings.backend, origins["backend"], plan))
    if settings.threads not in {0, tuning.machine.cpus}:  # it would count as another machine
        found.append(Override("threads", settings.threads, origins["threads"]))
    return found
