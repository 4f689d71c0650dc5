"""What the served artefact says of documents, and the plan that it is served with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from models.engine.engine import Engine, LoadedModel, Prediction, Request
from models.evaluation import Evaluation, TrainingFacts, evaluate_classes, evaluate_entities
from models.manifest import Manifest
from models.plans import Plan, Tuning
from models.store import Store
from models.training.answers import class_document, entity_document
from models.training.artefact import REFERENCE
from models.tuning.candidates import first_plan
from models.tuning.examples import Example, examples_of, sample_of
from models.tuning.machine import this_machine
from models.tuning.measure import Bench
from models.tuning.search import Limits
from models.tuning.tuner import Reference, Tuner
from schemas.errors import LexstreamError
from schemas.labels import LabelledDocument
from schemas.names import Kind

_SHORTEST_ROUND_S: Final = 0.5


@dataclass(frozen=True)
class Answering:
    """A model that is ready to answer."""

    engine: Engine
    model: LoadedModel

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return the model's answers, in order.

        Raises:
            ModelError: It broke on a document.
        """
        predictions = []
        for answer in self.engine.predict([Request(text, (self.model,)) for text in texts]):
            if isinstance(answer, LexstreamError):
                raise answer
            predictions.append(answer[0])
        return predictions


def open_draft(manifest: Manifest, *, store: Store, plan: Plan | None = None) -> Answering:
    """Return the model of a manifest that need not be stored yet, loaded and warm, served as it says or as planned."""
    engine = Engine(store, plan_of=lambda _: plan or manifest.plan)
    return Answering(engine, engine.load_draft(manifest))


def tune(
    manifest: Manifest,
    documents: Sequence[LabelledDocument],
    *,
    store: Store,
    limits: Limits,
    on_progress: Callable[[float], None],
) -> tuple[Tuning, list[Example]]:
    """Find the plan that serves, on documents that the model has not seen.

    Returns:
        How fast and how good plans are, and what they were judged by.
    """
    tuner = Tuner(store)
    sample = sample_of(documents)
    plan = first_plan(REFERENCE, tuner.machine)
    texts = [document.text for document in sample]
    with Bench(manifest, plan, texts, store=store) as bench:
        found = bench.run(n_documents=len(sample), at_least_s=min(_SHORTEST_ROUND_S, limits.trial_s))
    examples = examples_of(sample, found.answers)
    reference = Reference(plan, found)
    tuning = tuner.measure(manifest, examples, reference=reference, limits=limits, on_progress=on_progress)
    return tuning, examples


def answered_again(manifest: Manifest, examples: Sequence[Example], *, store: Store) -> list[Example]:
    """Return the documents of ``examples`` with what FP32 says of a model that was trained on them."""
    documents = [example.document for example in examples]
    answering = open_draft(manifest, store=store, plan=first_plan(REFERENCE, this_machine()))
    return examples_of(documents, answering.predict([document.text for document in documents]), seen=True)


def evaluate(
    manifest: Manifest, documents: Sequence[LabelledDocument], answers: Sequence[Prediction], *, facts: TrainingFacts
) -> Evaluation:
    """Return the evaluation of a model's answers on its test documents."""
    pairs = list(zip(documents, answers, strict=True))
    if manifest.kind is Kind.ENTITIES:
        entities = [entity_document(document, answer["entities"]) for document, answer in pairs]
        return evaluate_entities(entities, manifest.categories, facts=facts)
    classes = [class_document(document, answer["classes"]) for document, answer in pairs]
    return evaluate_classes(classes, manifest.categories, kind=manifest.kind, facts=facts)
