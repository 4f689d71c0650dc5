"""The model that is measured: one that Lexstream and plain transformers can both run, with the same weights.

So its head sees no shapes of words, and the labels ``B-`` and ``I-`` of a category are equally likely: then the sum of
their probabilities, which decides here, is what a single label per category gives there.
"""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agents.bench.lexicon import CATEGORIES, training_documents
from models.encoder import Encoder, find_encoder, load_module, read_config, weights_of
from models.engine.engine import Engine, Request
from models.engine.export import export_graphs
from models.features import N_FEATURES
from models.heads import EntityHead, load_entity_head, save_head
from models.manifest import CONFIG, TOKENIZER, WEIGHTS, Decoding, EncoderManifest, Manifest
from models.plans import Plan
from models.store import Store
from models.tokenization import Tokenizer
from models.training.artefact import self_test_texts, self_tests
from models.training.examples import IGNORED, read_documents, word_labels
from models.training.regression import fit
from models.training.states import States
from schemas.errors import ModelError
from schemas.labels import LabelledDocument
from schemas.names import Kind

PROJECT: Final = "bench"
REFERENCE: Final = "torch-fp32"
_LOG_2: Final = np.float32(np.log(2.0))
_STRENGTH: Final = 0.1
"""So strong a penalty leaves few near ties, which other precisions would decide otherwise."""
_LEFT_OUT: Final = frozenset({"_name_or_path", "architectures", "model_type", "transformers_version"})
_DECODING = Decoding(max_tokens=512, overlap=64, decoder="type")
Floats = NDArray[np.float32]

_LIBRARIES = ("lexstream", "numpy", "onnxruntime", "tokenizers", "torch", "transformers")


def make_model(store: Store, *, label: str = "v1", shift: float = 0.0) -> Manifest:
    """Train the head, store the model, and return its manifest. Takes seconds.

    Args:
        store: Where to.
        label: The model's.
        shift: By what share all weights of the encoder are greater than they were made: models of different shifts
            share no encoder.
    """
    encoder = find_encoder()
    documents = training_documents(PROJECT)
    module = load_module(encoder, attention="eager")
    _shift(module, shift)
    tokenizer = Tokenizer.from_file(encoder.tokenizer)
    states = States(module, tokenizer, max_tokens=encoder.max_tokens)
    head = _head(states, documents, tokenizer=tokenizer)
    draft = Manifest(
        project=PROJECT,
        label=label,
        kind=Kind.ENTITIES,
        categories=CATEGORIES,
        language="en",
        **_stored(encoder, weights_of(module), store=store),
        head=store.put(save_head(head)),
        decoding=_DECODING,
        plan=Plan(backend=REFERENCE),
        versions={name: version(name) for name in _LIBRARIES},
    )
    manifest = _with_self_tests(draft, documents, store=store)
    store.save_manifest(manifest)
    return manifest


def export_transformers(manifest: Manifest, store: Store, folder: Path) -> Path:
    """Write the model as ``transformers.pipeline("token-classification")`` loads it, and return its folder.

    Use it with ``aggregation_strategy="first"``: one label a word, neighbouring words of a category joined.
    """
    from transformers import BertConfig, BertForTokenClassification

    labels = ["O", *(f"I-{category}" for category in manifest.categories)]
    config = BertConfig(**_architecture(manifest, store))
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    module: Any = BertForTokenClassification(config)  # type: ignore[no-untyped-call]
    _fill(module, manifest, store)
    module.save_pretrained(folder)
    _write_tokenizer(store.get(manifest.encoder.files[TOKENIZER]), folder, max_tokens=manifest.encoder.max_tokens)
    return folder


def _shift(module: Any, shift: float) -> None:
    import torch

    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1 + shift)


def _head(states: States, documents: Sequence[LabelledDocument], *, tokenizer: Tokenizer) -> EntityHead:
    """Fit one row a category, then give each label of a category half of its probability."""
    readings = read_documents(documents, tokenizer, decoding=_DECODING)
    labels = np.concatenate([word_labels(reading, CATEGORIES) for reading in readings])
    types = (labels[labels != IGNORED] + 1) // 2
    rows = np.concatenate(states.words(readings))[labels != IGNORED]
    fitted = fit(rows, types[:, None] == np.arange(1 + len(CATEGORIES)), link="softmax", strength=_STRENGTH)
    return doubled(fitted.weight, fitted.bias)


def doubled(weight: Floats, bias: Floats) -> EntityHead:
    """Return the entity head that does what one row a category does. Shapes: (1 + C, H) and (1 + C,)."""
    twice = np.array([0, *np.repeat(np.arange(1, len(bias)), 2)])
    blind = np.zeros((len(twice), N_FEATURES), dtype=np.float32)
    shares = np.where(twice > 0, _LOG_2, np.float32(0))
    return EntityHead(np.hstack([weight[twice], blind]), (bias[twice] - shares).astype(np.float32))


def halved(head: EntityHead, *, width: int) -> tuple[Floats, Floats]:
    """Return weight and bias of one row a category, for a head from ``doubled``."""
    once = np.array([0, *range(2, len(head.bias), 2)])
    shares = np.where(once > 0, _LOG_2, np.float32(0))
    return np.ascontiguousarray(head.weight[once, :width]), (head.bias[once] + shares).astype(np.float32)


def _stored(encoder: Encoder, weights: bytes, *, store: Store) -> dict[str, Any]:
    config = encoder.config.read_bytes()
    files = {WEIGHTS: weights, CONFIG: config, TOKENIZER: encoder.tokenizer.read_bytes()}
    described = {
        "name": encoder.name,
        "licence": encoder.licence,
        "hiddenSize": encoder.hidden_size,
        "maxTokens": encoder.max_tokens,
        "files": {name: store.put(data) for name, data in files.items()},
    }
    graphs = export_graphs(config, weights, tokenizer=files[TOKENIZER])
    put = {name: store.put(graph) for name, graph in graphs.items()}
    return {"encoder": EncoderManifest.model_validate(described), "graphs": put}


def _with_self_tests(draft: Manifest, documents: Sequence[LabelledDocument], *, store: Store) -> Manifest:
    texts = self_test_texts(documents)
    with Engine(store) as engine:
        model = engine.load_draft(draft)
        answers = engine.predict([Request(text, (model,)) for text in texts])
    predictions = []
    for answer in answers:
        if isinstance(answer, ModelError):
            raise answer
        predictions.append(answer[0])
    return draft.model_copy(update={"self_test": self_tests(texts, predictions)})


def _architecture(manifest: Manifest, store: Store) -> dict[str, Any]:
    facts = read_config(store.get(manifest.encoder.files[CONFIG]))
    return {name: value for name, value in facts.items() if name not in _LEFT_OUT}


def _fill(module: Any, manifest: Manifest, store: Store) -> None:
    """Give the module the encoder's weights and the head's, and see that none is missing."""
    import torch
    from safetensors.torch import load

    width = manifest.encoder.hidden_size
    head = load_entity_head(store.get(manifest.head), n_categories=len(manifest.categories), hidden_size=width)
    weight, bias = halved(head, width=width)
    tensors = {f"bert.{name}": tensor for name, tensor in load(store.get(manifest.encoder.files[WEIGHTS])).items()}
    tensors |= {"classifier.weight": torch.from_numpy(weight), "classifier.bias": torch.from_numpy(bias)}
    module.load_state_dict(tensors, strict=True)


def _write_tokenizer(data: bytes, folder: Path, *, max_tokens: int) -> None:
    """Write the tokenizer without the padding and the limit that its file may have."""
    tokenizer = json.loads(data) | {"truncation": None, "padding": None}
    (folder / TOKENIZER).write_text(json.dumps(tokenizer), "utf-8")
    facts = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": max_tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts), "utf-8")
