"""The model that all subjects serve: made, exported for transformers, and its plan tuned on this machine."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.bench.child import Child
from agents.bench.subject import Spec
from models.manifest import Manifest
from models.plans import Tuning
from models.store import Store

_TUNING_S = 30.0


@dataclass(frozen=True)
class Served:
    """One model in its two forms.

    Attributes:
        manifest: As Lexstream serves it.
        store: URL of the store with it.
        folder: Where transformers loads the same weights.
    """

    manifest: Manifest
    store: str
    folder: Path


def make_served(home: Path) -> Served:
    """Make the model in ``home``. Takes about a minute, most of it the tuning that a training ends with."""
    spec = Spec("model", store=(home / "store").as_uri(), folder=str(home / "transformers"))
    found = asyncio.run(_prepared(spec, home / "model.log"))
    tuning = Tuning.model_validate(found["tuning"])
    store = Store(spec.store)
    manifest = store.load_manifest(found["digest"]).model_copy(update={"plan": tuning.plan, "tuning": tuning})
    store.save_manifest(manifest)
    return Served(manifest, spec.store, Path(spec.folder))


async def _prepared(spec: Spec, log: Path) -> dict[str, Any]:
    child = await Child.start(spec, log=log)
    try:
        return await child.ask("plan", seconds=_TUNING_S)
    finally:
        await child.stop()
