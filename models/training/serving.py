"""What the served artefact says of documents, and which backend should serve it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.engine.backend import TORCH_BACKENDS
from models.engine.engine import Engine, LoadedModel, Prediction, Request, own_plan, whole_machine
from models.evaluation import Evaluation, TrainingFacts, evaluate_classes, evaluate_entities
from models.evaluation.counts import count_classes, count_entities, score
from models.evaluation.guidance import label_counts
from models.manifest import BackendReport, Manifest
from models.store import Store
from models.training.answers import class_document, entity_document
from schemas.errors import LexstreamError
from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind

TOLERATED_LOSS = 0.003
"""How much of the reference's score a faster backend may lose: 0.3 points."""
_REFERENCE = "torch-fp32"
_TELLING_LABELS = 400
_SAME = 0.99
_MEASURED_S = 1.0
_FEWEST_ROUNDS = 2
_MEASURED_DOCUMENTS = 200
_MEASURED_CHARS = 60_000

Reports = list[BackendReport]


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


def open_draft(manifest: Manifest, *, store: Store, backend: str = "auto") -> Answering:
    """Return the model of a manifest that need not be stored yet, loaded and warm."""
    engine = Engine(store, plan_of=own_plan if backend == "auto" else lambda _: whole_machine(backend))
    return Answering(engine, engine.load_draft(manifest))


def measure_backends(manifest: Manifest, documents: Sequence[LabelledDocument], *, store: Store) -> Reports:
    """Return the speed and score of each backend on documents that the model has not seen; one of them is served."""
    sample = _sample(documents)
    rivals = {name: _Rival(open_draft(manifest, store=store, backend=name)) for name in _names(manifest)}
    started = time.perf_counter()
    rounds = 0
    # In turns, so that what else the machine does meanwhile hits all of them alike.
    while rounds < _FEWEST_ROUNDS or time.perf_counter() - started < _MEASURED_S:
        for rival in rivals.values():
            rival.run(sample)
        rounds += 1
    truth = _as_labels(sample, rivals[_REFERENCE].answers)
    return choose_backend(
        [rival.report(manifest, name, sample) for name, rival in rivals.items()],
        agreement={name: _micro_f1(manifest, truth, rival.answers) for name, rival in rivals.items()},
        n_labels=sum(label_counts(document).total() for document in sample),
    )


def choose_backend(reports: Sequence[BackendReport], *, agreement: Mapping[str, float], n_labels: int) -> Reports:
    """Mark the fastest backend that loses no more than ``TOLERATED_LOSS`` against FP32.

    Args:
        reports: What was measured.
        agreement: How alike each backend's answers are to FP32's, as F1.
        n_labels: On how many labels scores were measured. Few cannot show so small a loss; then a backend must give
            almost the same answers.
    """
    reference = next(report.score for report in reports if report.name == _REFERENCE)
    good = [
        report
        for report in reports
        if report.name == _REFERENCE
        or (
            report.score >= reference - TOLERATED_LOSS
            and (n_labels >= _TELLING_LABELS or agreement[report.name] >= _SAME)
        )
    ]
    served = max(good, key=lambda report: report.tokens_per_s)
    return [report.model_copy(update={"served": report is served}) for report in reports]


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


def _sample(documents: Sequence[LabelledDocument]) -> list[LabelledDocument]:
    chosen: list[LabelledDocument] = []
    n_chars = 0
    for document in documents[:_MEASURED_DOCUMENTS]:
        if chosen and n_chars + len(document.text) > _MEASURED_CHARS:
            continue
        chosen.append(document)
        n_chars += len(document.text)
    return chosen


def _names(manifest: Manifest) -> list[str]:
    return [*TORCH_BACKENDS, *manifest.graphs]


@dataclass
class _Rival:
    """One backend in the comparison; its fastest round counts."""

    answering: Answering
    best_s: float = float("inf")
    answers: Sequence[Prediction] = ()

    def run(self, documents: Sequence[LabelledDocument]) -> None:
        started = time.perf_counter()
        self.answers = self.answering.predict([document.text for document in documents])
        self.best_s = min(self.best_s, time.perf_counter() - started)

    def report(self, manifest: Manifest, name: str, documents: Sequence[LabelledDocument]) -> BackendReport:
        texts = [document.text for document in documents]
        n_tokens = sum(len(tokens) for tokens in self.answering.model.tokenizer.encode(texts))
        speed = round(n_tokens / max(self.best_s, 1e-9), 1)
        return BackendReport(
            name=name, tokens_per_s=speed, score=_micro_f1(manifest, documents, self.answers), served=False
        )


def _as_labels(documents: Sequence[LabelledDocument], answers: Sequence[Prediction]) -> list[LabelledDocument]:
    """Return the documents as if what was answered had been labelled."""
    return [_as_label(document, answer) for document, answer in zip(documents, answers, strict=True)]


def _as_label(document: LabelledDocument, answer: Prediction) -> LabelledDocument:
    labels = [
        EntityLabel(category=each["category"], offset=each["offset"], length=each["length"])
        for each in answer.get("entities", [])
    ]
    region = Region(offset=0, length=len(document.text), labels=labels)
    classes = [each["category"] for each in answer.get("classes", [])]
    return document.model_copy(update={"regions": [region] if "entities" in answer else [], "classes": classes})


def _micro_f1(manifest: Manifest, documents: Sequence[LabelledDocument], answers: Sequence[Prediction]) -> float:
    pairs = list(zip(documents, answers, strict=True))
    if manifest.kind is Kind.ENTITIES:
        entities = [entity_document(document, answer["entities"]) for document, answer in pairs]
        counts = count_entities(entities, manifest.categories)
    else:
        classes = [class_document(document, answer["classes"]) for document, answer in pairs]
        counts = count_classes(classes, manifest.categories)
    return round(float(score(counts.sum(axis=0)).micro[2]), 4)
