"""What comes before measuring: the model, its copy for transformers, and the plan that is fastest here."""

from pathlib import Path
from typing import Any

from agents.bench.documents import mixed
from agents.bench.model import REFERENCE, export_transformers, make_model
from agents.bench.subject import Spec
from models.engine.cpus import available_cpus
from models.engine.engine import Engine, Prediction, Request
from models.manifest import Manifest
from models.plans import Plan
from models.store import Store
from models.tuning.examples import examples_of
from models.tuning.search import Limits
from models.tuning.tuner import Tuner
from schemas.errors import ModelError
from schemas.labels import LabelledDocument

_N_EXAMPLES = 100
_SEED = 11


class Preparing:
    """Makes the model when it starts, and chooses the plan when asked."""

    def __init__(self, spec: Spec) -> None:
        self._store = Store(spec.store)
        self._folder = Path(spec.folder)
        self._manifest: Manifest | None = None

    async def start(self) -> None:
        """Make the model."""
        self._manifest = make_model(self._store)
        export_transformers(self._manifest, self._store, self._folder)

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Measure plans for ``seconds``, and return the digest, the table and the plan."""
        if self._manifest is None:
            raise AssertionError("asked before it was started")
        tuner = Tuner(self._store)
        documents = [
            LabelledDocument(project=self._manifest.project, id=each.id, text=each.text)
            for each in mixed(_N_EXAMPLES, seed=_SEED)
        ]
        # Without labels, what decides is the agreement with FP32.
        examples = examples_of(documents, self._reference(self._manifest, documents))
        tuning = tuner.measure(self._manifest, examples, limits=Limits(budget_s=question["seconds"]))
        return {"digest": self._manifest.digest, "tuning": tuning.payload(), "plan": tuning.plan.payload()}

    async def stop(self) -> None:
        """Nothing is left to end."""

    def _reference(self, manifest: Manifest, documents: list[LabelledDocument]) -> list[Prediction]:
        plan = Plan(backend=REFERENCE, threads=available_cpus())
        with Engine(self._store, plan_of=lambda _: plan) as engine:
            model = engine.load_draft(manifest)
            answers = engine.predict([Request(document.text, (model,)) for document in documents])
        predictions = []
        for answer in answers:
            if isinstance(answer, ModelError):
                raise answer
            predictions.append(answer[0])
        return predictions
