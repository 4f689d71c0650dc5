import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.engine.engine import Engine, Request
from models.evaluation import Evaluation
from models.store import Store
from models.training import checkpoint
from models.training import run as training
from models.training.job import TrainingJob, read_job, write_job
from models.training.run import Result
from schemas.errors import InvalidInput
from schemas.labels import LabelledDocument
from schemas.names import Kind
from tests.models.training.workbench import class_documents, entity_documents, make_job, run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def measure_briefly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_LONGEST_TUNING_S", 0.0)
        yield


class Killed(Exception):
    """Stands for the end of the process."""


def kill_in(phase: str, job: TrainingJob, documents: Sequence[LabelledDocument], *, every: int) -> None:
    """Train until the first checkpoint of ``phase``; one is due every so many steps."""
    write = checkpoint.Journal.write

    def write_and_die(journal: checkpoint.Journal, state: checkpoint.Checkpoint) -> None:
        write(journal, state)
        if state.phase == phase:
            raise Killed

    asked = itertools.count(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint.Journal, "write", write_and_die)
        patch.setattr(checkpoint.Journal, "due", property(lambda _journal: next(asked) % every == 0))
        with pytest.raises(Killed):
            run(job, documents)
    found = checkpoint.from_bytes(Store(job.store).latest_checkpoint(job.job_id) or b"")
    assert found is not None
    assert found.phase == phase


def head_of(job: TrainingJob, result: Result) -> str:
    return Store(job.store).load_manifest(result.digest).head


def scores_of(result: Result) -> dict[str, float]:
    return result.evaluation.summary


@pytest.fixture(scope="module")
def entities(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingJob, Result]:
    job = make_job(tmp_path_factory.mktemp("entities"), Kind.ENTITIES, epochs=24)
    return job, run(job, entity_documents())


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingJob, Result]:
    job = make_job(tmp_path_factory.mktemp("classes"), Kind.SINGLE_LABEL)
    return job, run(job, class_documents())


def test_an_entity_model_learns_and_is_served_from_the_store(entities: tuple[TrainingJob, Result]) -> None:
    job, result = entities
    assert result.evaluation.micro_f1 > 0.7
    model = Engine(Store(job.store)).load(result.digest)
    assert model.backend.plan.backend == result.manifest.plan.backend
    assert model.manifest.self_test
    assert model.manifest.metrics == scores_of(result)


def test_a_single_label_model_learns(classes: tuple[TrainingJob, Result]) -> None:
    job, result = classes
    assert result.evaluation.micro_f1 > 0.8
    engine = Engine(Store(job.store))
    (answer,) = engine.predict([Request("My refund invoice payment", (engine.load(result.digest),))])
    assert isinstance(answer, list)
    assert answer[0]["classes"][0]["category"] == "billing"


def test_a_multi_label_model_learns(tmp_path: Path) -> None:
    result = run(make_job(tmp_path, Kind.MULTI_LABEL), class_documents(n_classes=2))
    assert result.evaluation.micro_f1 > 0.7
    assert result.evaluation.confusion_matrix is None


@pytest.mark.parametrize("kind", [Kind.SINGLE_LABEL, Kind.MULTI_LABEL])
def test_classes_can_be_fine_tuned(tmp_path: Path, kind: Kind) -> None:
    documents = class_documents(n_classes=1 if kind is Kind.SINGLE_LABEL else 2)
    job = make_job(tmp_path, kind, method="fineTune", epochs=30)
    result = run(job, documents)
    manifest = Store(job.store).load_manifest(result.digest)
    assert manifest.hyperparameters["method"] == "fineTune"
    assert result.evaluation.micro_f1 > 0.6


def test_frozen_models_share_encoder_and_graph(tmp_path: Path) -> None:
    jobs = [
        make_job(tmp_path, Kind.SINGLE_LABEL, job_id="1", method="frozen"),
        make_job(tmp_path, Kind.ENTITIES, job_id="2", method="frozen"),
    ]
    results = [run(jobs[0], class_documents()), run(jobs[1], entity_documents())]
    manifests = [Store(jobs[0].store).load_manifest(result.digest) for result in results]
    assert manifests[0].encoder.files == manifests[1].encoder.files
    assert manifests[0].graphs == manifests[1].graphs


def test_the_same_seed_gives_the_same_model(entities: tuple[TrainingJob, Result], tmp_path: Path) -> None:
    job, result = entities
    again = make_job(tmp_path, Kind.ENTITIES, epochs=24)
    assert head_of(again, run(again, entity_documents())) == head_of(job, result)


def test_test_documents_influence_nothing(tmp_path: Path) -> None:
    documents = entity_documents()
    spoilt = [
        document.model_copy(update={"regions": [document.regions[0].model_copy(update={"labels": []})]})
        if document.dataset == "Test"
        else document
        for document in documents
    ]
    heads = []
    for number, each in enumerate((documents, spoilt)):
        job = make_job(tmp_path / str(number), Kind.ENTITIES, split="manual", epochs=2)
        heads.append(head_of(job, run(job, each)))
    assert heads[0] == heads[1]


@pytest.mark.parametrize("phase", ["fit", "refit"])
def test_a_killed_training_resumes_to_the_same_score(
    entities: tuple[TrainingJob, Result], tmp_path: Path, phase: str
) -> None:
    _, unbroken = entities
    job = make_job(tmp_path, Kind.ENTITIES, epochs=24)
    kill_in(phase, job, entity_documents(), every=23)
    resumed = run(job, entity_documents())
    assert scores_of(resumed) == scores_of(unbroken)
    assert head_of(job, resumed) == head_of(*entities)
    assert Store(job.store).latest_checkpoint(job.job_id) is None


def only(category: str, documents: Sequence[LabelledDocument]) -> list[LabelledDocument]:
    """Return the documents as if nothing else had been labelled."""
    found = []
    for document in documents:
        (region,) = document.regions
        labels = [label for label in region.labels if label.category == category]
        found.append(document.model_copy(update={"regions": [region.model_copy(update={"labels": labels})]}))
    return found


@pytest.mark.parametrize("phase", ["fit", "refit"])
@pytest.mark.parametrize(
    ("categories", "documents"),
    [
        (["Name", "Amount"], entity_documents(24)[4:]),
        (["Name"], only("Name", entity_documents())),
    ],
    ids=["documents", "categories"],
)
def test_a_killed_training_of_other_labels_counts_for_nothing(
    tmp_path: Path, phase: str, categories: list[str], documents: list[LabelledDocument]
) -> None:
    old = make_job(tmp_path / "resumed", Kind.ENTITIES, epochs=2)
    kill_in(phase, old, entity_documents(), every=5)
    job = old.model_copy(update={"categories": categories})
    resumed = run(job, documents)
    other = make_job(tmp_path / "fresh", Kind.ENTITIES, epochs=2).model_copy(update={"categories": categories})
    fresh = run(other, documents)
    assert head_of(job, resumed) == head_of(other, fresh)
    assert resumed.manifest.temperature == fresh.manifest.temperature
    assert resumed.manifest.hyperparameters == fresh.manifest.hyperparameters
    assert scores_of(resumed) == scores_of(fresh)
    assert Store(job.store).latest_checkpoint(job.job_id) is None


def test_an_evaluation_again_never_uses_training_documents(classes: tuple[TrainingJob, Result]) -> None:
    job, result = classes
    again = job.model_copy(update={"type": "evaluate", "train": None, "model": result.digest})
    same = run(again, class_documents())
    assert scores_of(same) == scores_of(result)
    more = run(again, class_documents(40))
    assert more.evaluation.n_test == result.evaluation.n_test + 10
    trained_on = set(result.evaluation.trained_on)
    assert trained_on.isdisjoint(document.location for document in more.evaluation.documents)
    assert more.digest == result.digest
    assert more.evaluation_digest != result.evaluation_digest


def test_an_evaluation_without_fresh_documents_says_so(classes: tuple[TrainingJob, Result]) -> None:
    job, result = classes
    again = job.model_copy(update={"type": "evaluate", "train": None, "model": result.digest})
    seen = [document for document in class_documents() if document.id in result.evaluation.trained_on]
    with pytest.raises(InvalidInput, match="was not trained on"):
        run(again, seen)


def test_too_little_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="got 4 labelled documents"):
        run(make_job(tmp_path, Kind.ENTITIES), entity_documents(4))


def test_nothing_but_the_model_is_left_in_the_store(entities: tuple[TrainingJob, Result]) -> None:
    job, result = entities
    store = Store(job.store)
    blobs = store.load_manifest(result.digest).blobs
    folder = Path(job.store.removeprefix("file://")) / "blobs" / "sha256"
    assert {f"sha256:{path.name}" for path in folder.iterdir()} == blobs


def test_progress_tells_stages_in_order(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    run(make_job(tmp_path, Kind.ENTITIES, epochs=2), entity_documents(), emit=events.append)
    stages = list(dict.fromkeys(event["stage"] for event in events))
    assert stages == ["preparing", "training", "exporting", "tuning", "evaluating"]
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert all(event["remainingS"] >= 0 for event in events)


def test_a_long_document_without_words_is_no_obstacle(tmp_path: Path) -> None:
    documents = class_documents()
    documents[3] = documents[3].model_copy(update={"text": "\u200b"})
    documents[4] = documents[4].model_copy(update={"text": documents[4].text * 60})
    assert run(make_job(tmp_path, Kind.SINGLE_LABEL), documents).evaluation.n_train == 24


def test_a_job_survives_its_files(tmp_path: Path) -> None:
    job = make_job(tmp_path, Kind.SINGLE_LABEL)
    documents: list[LabelledDocument] = class_documents()
    documents[0] = documents[0].model_copy(update={"text": "two\nlines\u2028and a separator"})
    write_job(tmp_path / "job", job, documents)
    assert read_job(tmp_path / "job") == (job, documents)


def test_a_stored_evaluation_is_what_was_measured(classes: tuple[TrainingJob, Result]) -> None:
    job, result = classes
    stored = Evaluation.model_validate_json(Store(job.store).get(result.evaluation_digest))
    assert stored.summary == scores_of(result)
    assert np.isfinite(stored.calibration.ece)
