"""A model that can be tuned in no time, and a tuner that counts how often it measures."""

from models.manifest import Manifest
from models.plans import Tuning
from models.store import Store
from models.tuning.candidates import first_plan
from models.tuning.examples import dump_examples, examples_of
from models.tuning.machine import this_machine
from models.tuning.measure import Bench
from models.tuning.search import Limits
from models.tuning.tuner import Tuner
from schemas.labels import LabelledDocument
from tests.models.artefacts import make_manifest

HERE = this_machine()
TEXTS = [f"John Smith of Boston lent ${amount} to Ann Lee in Dallas." for amount in range(100, 130)]
NEVER = Limits(budget_s=0)
PATIENT = Limits(budget_s=60.0, round_s=0.01)
BRIEF = Limits(budget_s=0.3, round_s=0.01)


def documents() -> list[LabelledDocument]:
    return [LabelledDocument(project="p", id=str(at), text=text) for at, text in enumerate(TEXTS)]


def tunable(store: Store, *, label: str = "v1") -> Manifest:
    """A manifest with a tuning set of its own FP32 answers."""
    manifest = make_manifest(store, label=label)
    with Bench(manifest, first_plan("onnx-fp32", HERE), TEXTS, store=store) as bench:
        answers = bench.run(n_documents=len(TEXTS)).answers
    kept = store.put(dump_examples(examples_of(documents(), answers)))
    return manifest.model_copy(update={"tuning_set": kept})


class Counting(Tuner):
    """Counts how often it measures."""

    def __init__(self, store: Store, **facts: object) -> None:
        super().__init__(store, **({"limits": BRIEF} | facts))  # type: ignore[arg-type]
        self.n_measured = 0

    def measure(self, *given: object, **facts: object) -> Tuning:
        self.n_measured += 1
        return super().measure(*given, **facts)  # type: ignore[arg-type]
