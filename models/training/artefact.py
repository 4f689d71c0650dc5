"""From what was learnt to an artefact: blobs, graphs and the manifest."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from models.encoder import Encoder
from models.engine.cpus import available_cpus
from models.engine.export import export_graphs
from models.manifest import CONFIG, TOKENIZER, WEIGHTS, DatasetFacts, EncoderManifest, Manifest, SelfTest
from models.plans import Plan
from models.store import Store
from models.training.context import Context, Learnt, Parts
from models.training.split import Split
from schemas.labels import LabelledDocument

REFERENCE = "torch-fp32"
_LIBRARIES = ("lexstream", "numpy", "onnxruntime", "openvino", "tokenizers", "torch", "transformers")
_SELF_TEST_CHARS = 400
_N_SELF_TESTS = 2


@dataclass(frozen=True)
class Workshop:
    """Makes manifests for one training."""

    context: Context
    learnt: Learnt
    split: Split

    def draft(self, parts: Parts) -> Manifest:
        """Return a manifest that can be loaded, without what is measured later. Exports the graphs; takes seconds."""
        context, learnt, job = self.context, self.learnt, self.context.job
        return Manifest(
            project=job.project,
            label=context.settings.model_label,
            kind=job.kind,
            categories=job.categories,
            language=job.language,
            multilingual=job.multilingual,
            confidence_threshold=job.confidence_threshold,
            encoder=_encoder_manifest(context.encoder, store=context.store, weights=parts.weights),
            graphs=_graphs(context.encoder, store=context.store, weights=parts.weights),
            head=parts.head,
            decoding=learnt.decoding,
            temperature=learnt.temperature,
            thresholds=dict(learnt.thresholds),
            plan=Plan(backend=REFERENCE, threads=available_cpus()),
            dataset=self._dataset(),
            split=self._split(),
            seed=context.seed,
            hyperparameters=dict(learnt.hyperparameters),
            versions={name: version(name) for name in _LIBRARIES},
        )

    def _dataset(self) -> DatasetFacts:
        documents = [*self.split.train, *self.split.test]
        return DatasetFacts(
            digest=dataset_digest(documents),
            n_documents=len(documents),
            n_train=len(self.split.train),
            n_test=len(self.split.test),
        )

    def _split(self) -> dict[str, Any]:
        settings = self.context.settings
        if settings.split == "manual":
            return {"kind": "manual"}
        return {"kind": "percentage", "trainingSplitPercentage": settings.training_split_percentage}


def dataset_digest(documents: Sequence[LabelledDocument]) -> str:
    """Return a digest of documents and labels that does not depend on their order."""
    lines = sorted(document.model_dump_json(by_alias=True, exclude={"position"}) for document in documents)
    return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def self_test_texts(documents: Sequence[LabelledDocument]) -> list[str]:
    """Return the beginnings of a few training documents, cut between words."""
    texts = [document.text for document in documents if not document.text.isspace() and document.text]
    return [_beginning(text) for text in texts[:_N_SELF_TESTS]]


def self_tests(texts: Sequence[str], predictions: Sequence[Mapping[str, Any]]) -> list[SelfTest]:
    """Return what the manifest keeps of the model's answers."""
    return [
        SelfTest(text=text, entities=answer.get("entities"), classes=answer.get("classes"))
        for text, answer in zip(texts, predictions, strict=True)
    ]


def _beginning(text: str) -> str:
    if len(text) <= _SELF_TEST_CHARS:
        return text
    end = text.rfind(" ", 1, _SELF_TEST_CHARS)
    return text[: end if end > 0 else _SELF_TEST_CHARS]


def _encoder_manifest(encoder: Encoder, *, store: Store, weights: str) -> EncoderManifest:
    return EncoderManifest(
        name=encoder.name,
        licence=encoder.licence,
        hidden_size=encoder.hidden_size,
        max_tokens=encoder.max_tokens,
        files={WEIGHTS: weights, CONFIG: store.put_file(encoder.config), TOKENIZER: store.put_file(encoder.tokenizer)},
    )


def _graphs(encoder: Encoder, *, store: Store, weights: str) -> dict[str, str]:
    tokenizer = encoder.tokenizer.read_bytes()
    graphs = export_graphs(encoder.config.read_bytes(), store.get(weights), tokenizer=tokenizer)
    return {name: store.put(graph) for name, graph in graphs.items()}
