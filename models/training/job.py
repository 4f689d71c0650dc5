"""What a training is asked to do: two files in a folder."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Message
from schemas.commands import Identifier, Train
from schemas.labels import LabelledDocument
from schemas.names import Digest, Kind

JOB_FILE = "job.json"
DOCUMENTS_FILE = "documents.jsonl"


class TrainingJob(Message):
    """``job.json``. A job of type ``evaluate`` names the ``model`` that it measures, by its digest."""

    job_id: Identifier
    project: str
    kind: Kind
    categories: list[str] = []
    language: str = "en"
    multilingual: bool = False
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    type: Literal["train", "evaluate"] = "train"
    train: Train | None = None
    model: Digest | None = None
    store: str

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> "TrainingJob":
        if self.type == "train" and self.train is None:
            raise ValueError("got a job of type train without train, expected its parameters")
        if self.type == "evaluate" and self.model is None:
            raise ValueError("got a job of type evaluate without model, expected a digest")
        return self


def read_job(folder: Path) -> tuple[TrainingJob, list[LabelledDocument]]:
    """Return the job in ``folder`` and its documents, in the order of the labels file."""
    job = TrainingJob.model_validate_json((folder / JOB_FILE).read_bytes())
    lines = (folder / DOCUMENTS_FILE).read_bytes().splitlines()
    documents = [LabelledDocument.model_validate_json(line) for line in lines if line.strip()]
    return job, sorted(documents, key=lambda document: (document.position, document.id))


def write_job(folder: Path, job: TrainingJob, documents: list[LabelledDocument]) -> None:
    """Write the two files, for a child process to read."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (document.model_dump_json(by_alias=True) for document in documents)
    (folder / DOCUMENTS_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / JOB_FILE).write_text(job.model_dump_json(by_alias=True), encoding="utf-8")
