"""What every kind of training works with, and what it brings back."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from models.encoder import Encoder, find_encoder, load_module, weights_of
from models.heads import Head, save_head
from models.manifest import Decoding
from models.store import Store
from models.tokenization import Tokenizer
from models.training.checkpoint import Journal
from models.training.job import TrainingJob
from models.training.progress import Progress
from models.training.split import Documents
from schemas.commands import Train


@dataclass(frozen=True)
class Context:
    """One training. ``train`` are its training documents; test documents are not in reach."""

    job: TrainingJob
    settings: Train
    train: Documents
    store: Store
    encoder: Encoder
    tokenizer: Tokenizer
    journal: Journal
    progress: Progress

    @property
    def seed(self) -> int:
        """Decides everything that is random."""
        return self.settings.seed

    def load_encoder(self) -> nn.Module:
        """Return a fresh module with the encoder's own weights."""
        return load_module(self.encoder, attention="eager")


@dataclass(frozen=True)
class Parts:
    """A model in the store: digests of its encoder's weights and of its head."""

    weights: str
    head: str


@dataclass(frozen=True)
class Learnt:
    """What a training brings back.

    Attributes:
        probe: The model that has not seen ``validation``; backends are compared with it.
        final: The model that is kept; the probe itself, or trained again with the validation documents.
        validation: Documents that chose decoder, temperature and thresholds.
        decoding: How it is decoded.
        temperature: What logits are divided by.
        thresholds: By class, for multi-label.
        hyperparameters: For the manifest.
        notes: For the evaluation.
    """

    probe: Parts
    final: Parts
    validation: Documents
    decoding: Decoding
    temperature: float
    thresholds: Mapping[str, float] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def course_digest(job: TrainingJob, *, train: Documents, encoder: Encoder) -> str:
    """Return a digest of all that a training is given: its job, its documents in order, its encoder.

    What test documents say and where the store is changes nothing.
    """
    given = hashlib.sha256(job.model_dump_json(by_alias=True, exclude={"store"}).encode())
    for document in train:
        given.update(b"\n" + document.model_dump_json(by_alias=True, exclude={"position"}).encode())
    for path in (encoder.weights, encoder.config, encoder.tokenizer):
        with path.open("rb") as file:
            given.update(b"\n" + hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{given.hexdigest()}"


def open_context(job: TrainingJob, settings: Train, train: Documents, *, store: Store, progress: Progress) -> Context:
    """Return the context of a job, its encoder found and its checkpoints looked for."""
    encoder = find_encoder(settings.encoder)
    return Context(
        job=job,
        settings=settings,
        train=train,
        store=store,
        encoder=encoder,
        tokenizer=Tokenizer.from_file(Path(encoder.tokenizer)),
        journal=Journal(store, job.job_id, made_of=course_digest(job, train=train, encoder=encoder), progress=progress),
        progress=progress,
    )


def store_parts(context: Context, encoder: nn.Module, head: Head) -> Parts:
    """Put an encoder and a head into the store. The same encoder gives the same blob, whoever stores it."""
    return Parts(weights=context.store.put(weights_of(encoder)), head=context.store.put(save_head(head)))
