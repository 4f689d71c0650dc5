from pathlib import Path
from typing import Any

import pytest
import torch

from models.encoder import find_encoder
from models.store import Store
from models.training.checkpoint import Checkpoint, Journal, to_bytes
from models.training.context import course_digest
from models.training.job import TrainingJob
from models.training.progress import Progress
from schemas.labels import Dataset
from schemas.names import Kind
from tests.models.training.workbench import class_documents, make_job

FOUND = Checkpoint("fit", {"place": 3}, {"weight": torch.ones(2)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path / 'store'}")


def open_journal(store: Store, made_of: str, *, spent_s: float = 0.0) -> Journal:
    """Open the journal of a process that has worked for ``spent_s``."""
    progress = Progress(lambda _event: None, clock=lambda: 100.0)
    progress.resume(spent_s)
    return Journal(store, "job-1", made_of=made_of, progress=progress)


def spent_s(store: Store, made_of: str) -> float:
    """Return the time that a new process counts for the job."""
    progress = Progress(lambda _event: None, clock=lambda: 100.0)
    Journal(store, "job-1", made_of=made_of, progress=progress)
    return progress.elapsed_s


def test_a_journal_goes_on_from_a_checkpoint_of_the_same_data(store: Store) -> None:
    open_journal(store, "these labels", spent_s=60.0).write(FOUND)
    found = open_journal(store, "these labels").of("fit")
    assert found is not None
    assert found.facts["place"] == 3
    assert found.tensors["weight"].tolist() == [1.0, 1.0]
    assert open_journal(store, "these labels").of("refit") is None
    assert spent_s(store, "these labels") == 60.0


def test_a_checkpoint_of_other_data_is_no_start(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    open_journal(store, "these labels", spent_s=60.0).write(FOUND)
    assert open_journal(store, "other labels").of("fit") is None
    (line,) = caplog.messages
    assert "starts again" in line
    assert spent_s(store, "other labels") == 0.0


def test_a_checkpoint_that_does_not_say_what_it_was_made_of_is_no_start(store: Store) -> None:
    facts = {"place": 3, "number": 5, "elapsedS": 60.0}
    store.save_checkpoint("job-1", to_bytes(Checkpoint("fit", facts, FOUND.tensors)), step=5)
    assert open_journal(store, "these labels").of("fit") is None
    assert spent_s(store, "these labels") == 0.0


def test_new_checkpoints_come_after_those_of_other_data(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    before = open_journal(store, "these labels", spent_s=60.0)
    for _ in range(5):
        before.write(FOUND)
    open_journal(store, "other labels", spent_s=7.0).write(Checkpoint("fit", {"place": 1}, FOUND.tensors))
    caplog.clear()
    found = open_journal(store, "other labels").of("fit")
    assert found is not None
    assert (found.facts["place"], found.facts["number"]) == (1, 6)
    assert spent_s(store, "other labels") == 7.0
    assert caplog.messages == []


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    return make_job(tmp_path, Kind.SINGLE_LABEL)


def digest(job: TrainingJob, *, first: dict[str, Any] | None = None, step: int = 1) -> str:
    """Return the course's digest, with changes to the first document, or with the documents in another order."""
    assert job.train is not None
    documents = class_documents()
    documents[0] = documents[0].model_copy(update=first or {})
    return course_digest(job, train=tuple(documents[::step]), encoder=find_encoder(job.train.encoder))


@pytest.mark.parametrize("first", [{"text": "Other"}, {"classes": ["login"]}, {"dataset": Dataset.TRAIN}])
def test_other_documents_make_another_course(job: TrainingJob, first: dict[str, Any]) -> None:
    assert digest(job, first=first) != digest(job)


def test_another_order_makes_another_course(job: TrainingJob) -> None:
    """It decides which documents validate."""
    assert digest(job, step=-1) != digest(job)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": Kind.MULTI_LABEL},
        {"categories": ["billing"]},
        {"language": "de"},
        {"multilingual": True},
        {"confidence_threshold": 0.5},
    ],
)
def test_another_project_makes_another_course(job: TrainingJob, changes: dict[str, Any]) -> None:
    assert digest(job.model_copy(update=changes)) != digest(job)


def test_other_parameters_make_another_course(job: TrainingJob) -> None:
    assert job.train is not None
    assert digest(job.model_copy(update={"train": job.train.model_copy(update={"epochs": 3})})) != digest(job)


def test_other_files_of_the_encoder_make_another_course(job: TrainingJob, tmp_path: Path) -> None:
    before = digest(job)
    with (tmp_path / "tiny" / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    assert digest(job) != before


def test_the_same_course_from_elsewhere_is_the_same(job: TrainingJob) -> None:
    elsewhere = job.model_copy(update={"store": "s3://bucket/models"})
    assert digest(elsewhere, first={"position": 100}) == digest(job)
