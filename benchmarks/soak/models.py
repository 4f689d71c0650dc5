"""The models that take turns: real and small, each with an encoder of its own, so that a swap loads all of a model."""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from agents.bench.model import make_model
from agents.bench.preparing import Preparing
from agents.bench.subject import Spec
from models.manifest import Manifest
from models.plans import Tuning
from models.store import Store

N_MODELS = 3
"""The one that serves, the one before it, which stays for a rollback, and one that was unloaded."""
_SHIFT = 1e-4
_TUNING_S = 20.0


@dataclass(frozen=True)
class Models:
    """What may be deployed: digests by label, and the plan of all."""

    digests: dict[str, str]
    plan: dict[str, Any]


def prepared(store: str, folder: Path) -> Models:
    """Make the models in a process of its own, whose memory goes with it. Takes a minute."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_make, store, folder).result()
        except BaseException:
            for process in active_children():
                process.kill()  # or who interrupts us waits for it
            raise


def _make(url: str, folder: Path) -> Models:
    """Tune one of them, as a training does, and give all the same plan: they differ in nothing that takes time."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call] # transformers has no types here
    answer = asyncio.run(_tuned(Spec("model", store=url, folder=str(folder))))
    store, tuning = Store(url), Tuning.model_validate(answer["tuning"])
    digests = {}
    for number in range(1, N_MODELS + 1):
        made = make_model(store, label=f"v{number}", shift=_SHIFT * number)
        digests[made.label] = store.save_manifest(_planned(made, tuning))
    return Models(digests, answer["plan"])


async def _tuned(spec: Spec) -> dict[str, Any]:
    preparing = Preparing(spec)
    await preparing.start()
    return await preparing.ask({"do": "plan", "seconds": _TUNING_S})


def _planned(manifest: Manifest, tuning: Tuning) -> Manifest:
    return manifest.model_copy(update={"plan": tuning.plan, "tuning": tuning})
