"""A job from its two files to its last line: train and evaluate, or evaluate again."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import torch

from models.engine.cpus import available_cpus
from models.evaluation import Evaluation, TrainingFacts
from models.manifest import Manifest
from models.store import Store
from models.training.artefact import Workshop, self_test_texts, self_tests
from models.training.checks import find_problems, is_labelled
from models.training.context import Context, Learnt, open_context
from models.training.job import TrainingJob
from models.training.progress import Progress
from models.training.serving import Answering, answered_again, evaluate, open_draft, tune
from models.training.split import Split, split_documents
from models.tuning.examples import dump_examples
from models.tuning.search import Limits
from models.tuning.tuner import Tuner
from schemas.errors import ArtefactNotFound, InvalidInput, NoSpace, Unavailable
from schemas.labels import Dataset, LabelledDocument
from schemas.names import Kind

_SHORTEST_TUNING_S: Final = 6.0
_LONGEST_TUNING_S: Final = 50.0
_TUNING_SHARE: Final = 0.15


@dataclass(frozen=True)
class Result:
    """What a job ends with."""

    digest: str
    evaluation: Evaluation
    evaluation_digest: str
    manifest: Manifest

    def event(self) -> dict[str, Any]:
        """Return the last line of a job that succeeded."""
        return {
            "event": "succeeded",
            "digest": self.digest,
            "evaluation": self.evaluation_digest,
            "summary": self.evaluation.summary,
            "backend": self.manifest.plan.backend,
            "plan": self.manifest.plan.payload(),
            "tuning": self.manifest.tuning.payload() if self.manifest.tuning else None,
        }


def run_job(job: TrainingJob, documents: Sequence[LabelledDocument], *, progress: Progress) -> Result:
    """Do the job.

    Raises:
        InvalidInput: With everything that makes it impossible.
        LexstreamError: Store, encoder or training failed.
    """
    # The number of threads decides in which order sums are added, and so the last digits of every weight.
    torch.set_num_threads(available_cpus())
    store = Store(job.store)
    if job.type == "evaluate":
        return _evaluate_again(job, documents, store=store, progress=progress)
    if problems := find_problems(job, documents):
        raise InvalidInput(problems)
    try:
        return _train(job, documents, store=store, progress=progress)
    except NoSpace:
        with suppress(Unavailable):  # a full disk may not even rename
            store.take_back()
        raise


def _train(job: TrainingJob, documents: Sequence[LabelledDocument], *, store: Store, progress: Progress) -> Result:
    settings = job.train
    if settings is None:
        raise InvalidInput(["got a job without parameters, expected those of train"])
    split = split_documents(
        documents,
        split=settings.split,
        training_percentage=settings.training_split_percentage,
        seed=settings.seed,
    )
    progress.report(0.1)
    context = open_context(job, settings, split.train, store=store, progress=progress)
    learnt = _learn(context)
    workshop = Workshop(context, learnt, split)
    try:
        draft = _with_plan(workshop)
        result = _finish(workshop, draft)
    except ArtefactNotFound as error:
        # All of it was put here and now: a deletion that did not know of it took what an older model had, too.
        raise Unavailable(f"{error}; trying again puts it there") from error
    context.journal.close()
    return result


def _learn(context: Context) -> Learnt:
    if context.job.kind is Kind.ENTITIES:
        from models.training.entities import train_entities

        return train_entities(context)
    from models.training.classes import train_classes

    return train_classes(context)


def _with_plan(workshop: Workshop) -> Manifest:
    """Tune the probe, which has not seen the validation part, and return the final draft."""
    progress, store, learnt = workshop.context.progress, workshop.context.store, workshop.learnt
    limits = Limits(budget_s=tuning_s(progress.elapsed_s))
    progress.expected_s["tuning"] = limits.budget_s
    progress.enter("exporting")
    progress.report(0.0)
    probe = workshop.draft(learnt.probe)
    progress.report(0.5)
    same = learnt.final == learnt.probe
    final = probe if same else workshop.draft(learnt.final)
    progress.enter("tuning")
    progress.report(0.0)
    tuning, examples = tune(probe, learnt.validation, store=store, limits=limits, on_progress=progress.report)
    if not same:
        examples = answered_again(final, examples, store=store)
    for blob in probe.blobs - final.blobs:
        store.delete_blob(blob)  # unless another model, such as one of the same training, has the same
    kept = store.put(dump_examples(examples))
    return final.model_copy(update={"plan": tuning.plan, "tuning": tuning, "tuning_set": kept})


def tuning_s(elapsed_s: float) -> float:
    """Return how long a training that took so long may tune: it should not take much longer for it."""
    return min(_SHORTEST_TUNING_S + _TUNING_SHARE * elapsed_s, _LONGEST_TUNING_S)


def _finish(workshop: Workshop, draft: Manifest) -> Result:
    """Evaluate what will be served on the test documents, and store the manifest."""
    context, split = workshop.context, workshop.split
    context.progress.enter("evaluating")
    context.progress.report(0.0)
    answering = open_draft(draft, store=context.store)
    facts = TrainingFacts(
        train=split.train,
        test=split.test,
        split=context.settings.split,
        training_split_percentage=context.settings.training_split_percentage,
        backend=draft.plan.backend,
        duration_s=round(context.progress.elapsed_s, 1),
        seed=context.seed,
        notes=tuple(workshop.learnt.notes),
    )
    evaluation = _evaluate(draft, answering, facts=facts, progress=context.progress)
    evaluation_digest = context.store.put(evaluation.to_json())
    texts = self_test_texts(split.train)
    manifest = draft.model_copy(
        update={
            "metrics": evaluation.summary,
            "evaluation": evaluation_digest,
            "self_test": self_tests(texts, answering.predict(texts)),
        }
    )
    digest = context.store.save_manifest(manifest)
    return Result(digest, evaluation, evaluation_digest, manifest)


def _evaluate(manifest: Manifest, answering: Answering, *, facts: TrainingFacts, progress: Progress) -> Evaluation:
    answers = []
    for number, document in enumerate(facts.test):
        answers += answering.predict([document.text])
        progress.report((number + 1) / len(facts.test))
    return evaluate(manifest, facts.test, answers, facts=facts)


def _evaluate_again(
    job: TrainingJob, documents: Sequence[LabelledDocument], *, store: Store, progress: Progress
) -> Result:
    manifest = store.load_manifest(job.model or "")
    before = Evaluation.model_validate_json(store.get(manifest.evaluation or ""))
    split = _current_split(manifest, before, documents)
    progress.expected_s["training"] = progress.expected_s["exporting"] = progress.expected_s["tuning"] = 0.0
    progress.enter("evaluating")
    facts = TrainingFacts(
        train=split.train,
        test=split.test,
        split=str(manifest.split["kind"]),
        training_split_percentage=manifest.split.get("trainingSplitPercentage"),
        backend=manifest.plan.backend,
        duration_s=before.duration_s,
        seed=manifest.seed,
    )
    answering = open_draft(manifest, store=store, plan=Tuner(store, limits=Limits(budget_s=0)).plan_of(manifest))
    evaluation = _evaluate(manifest, answering, facts=facts, progress=progress)
    digest = store.put(evaluation.to_json())
    return Result(manifest.digest, evaluation, digest, manifest)


def _current_split(manifest: Manifest, before: Evaluation, documents: Sequence[LabelledDocument]) -> Split:
    """Test on what is labelled now, but never on a document that the model was trained on."""
    seen = set(before.trained_on)
    labelled = [document for document in documents if is_labelled(document)]
    fresh = [document for document in labelled if document.id not in seen]
    if manifest.split["kind"] == "manual":
        fresh = [document for document in fresh if document.dataset is Dataset.TEST]
    if not fresh:
        raise InvalidInput(["got no labelled document that the model was not trained on, expected at least one"])
    return Split(tuple(document for document in labelled if document.id in seen), tuple(fresh))
