"""Jobs on made-up documents and a tiny random encoder, for tests that train for real."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.encoder import find_encoder
from models.training.job import TrainingJob
from models.training.progress import Progress
from models.training.run import Result, run_job
from schemas.commands import Method, Train
from schemas.labels import Dataset, EntityLabel, LabelledDocument, Region
from schemas.names import Kind
from tests.models.artefacts import tiny_config, tiny_weights

NAMES = ("Ada Byron", "Alan Turing", "Grace Hopper", "Edsger", "Barbara Liskov")
TOPICS = {"billing": "invoice refund payment", "delivery": "parcel courier late", "login": "password account locked"}


def put_tiny_encoder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(tiny_config())
    (folder / "model.safetensors").write_bytes(tiny_weights())
    (folder / "tokenizer.json").write_bytes(find_encoder().tokenizer.read_bytes())
    return folder


def entity_documents(n_documents: int = 20) -> list[LabelledDocument]:
    return [_entity_document(number, random.Random(number)) for number in range(n_documents)]


def _entity_document(number: int, dice: random.Random) -> LabelledDocument:
    text, labels = "The lender", []
    for category, filler, value in (
        ("Name", " lends to ", dice.choice(NAMES)),
        ("Amount", " the sum of ", f"${dice.randint(100, 999)}"),
    ):
        labels.append(EntityLabel(category=category, offset=len(text) + len(filler), length=len(value)))
        text += filler + value
    text += " and nothing else."
    dataset = Dataset.TEST if number % 5 == 0 else Dataset.TRAIN
    region = Region(offset=0, length=len(text), labels=labels)
    return LabelledDocument(
        project="p", id=f"{number}.txt", text=text, regions=[region], dataset=dataset, position=number
    )


def class_documents(n_documents: int = 30, *, n_classes: int = 1) -> list[LabelledDocument]:
    documents = []
    for number in range(n_documents):
        dice = random.Random(number)
        topics = [list(TOPICS)[(number + step) % len(TOPICS)] for step in range(1 + number % n_classes)]
        words = [word for topic in topics for word in TOPICS[topic].split()] * 2
        dice.shuffle(words)
        documents.append(
            LabelledDocument(
                project="p", id=str(number), text=f"My {' '.join(words)} today", classes=topics, position=number
            )
        )
    return documents


def make_job(folder: Path, kind: Kind, *, job_id: str = "job-1", seed: int = 1, **changes: Any) -> TrainingJob:
    settings: dict[str, Any] = {
        "model_label": "v1",
        "encoder": str(put_tiny_encoder(folder / "tiny")),
        "seed": seed,
        "method": Method.AUTO,
    }
    return TrainingJob(
        job_id=job_id,
        project="p",
        kind=kind,
        categories=["Name", "Amount"] if kind is Kind.ENTITIES else list(TOPICS),
        train=Train(**(settings | changes)),
        store=f"file://{folder / 'store'}",
    )


def run(
    job: TrainingJob,
    documents: Sequence[LabelledDocument],
    *,
    emit: Callable[[dict[str, Any]], None] = lambda _event: None,
) -> Result:
    return run_job(job, documents, progress=Progress(emit))
