"""Every backend gives FP32 torch's spans and classes, on the real default encoder with heads that learned something.

A random head is unsure of everything, so that the least rounding changes its spans: that would measure nothing.
"""

from typing import Any

import numpy as np
import pytest

from models.encoder import find_encoder, load_module, weights_of
from models.engine.backend import BACKENDS
from models.engine.engine import Engine, LoadedModel, Request
from models.engine.export import export_graphs
from models.features import N_FEATURES
from models.heads import ClassHead, EntityHead, Head, save_head
from models.manifest import CONFIG, TOKENIZER, WEIGHTS, EncoderManifest, Manifest
from models.plans import Plan
from models.store import Store
from schemas.errors import ModelError
from schemas.names import Kind
from tests.models.artefacts import default_tokenizer

TEXTS = [
    f"On 5 May 2021 {name} of {place} took a loan of ${amount} from Contoso Bank. Repay it in {place}, said {name}."
    for name, place, amount in [
        ("John Smith", "New Hampton", "12,000"), ("Mary Jones", "Boston", "950"), ("Wei Li", "Seattle", "7,500.50"),
        ("Ann Lee", "New York", "88"), ("Bob Ray", "Chicago", "4,000"), ("Eve Stone", "Dallas", "310"),
    ]
]  # fmt: skip
TEXTS += ["The printer is out of paper again, send somebody.", "My screen stays black when I start the computer."] * 3
NAMES = {"John", "Smith", "Mary", "Jones", "Wei", "Li", "Ann", "Lee", "Bob", "Ray", "Eve", "Stone"}
PLACES = {"Hampton", "Boston", "Seattle", "York", "Chicago", "Dallas", "New"}
# Share of spans that are the same (of all that either finds). Dynamic INT8 is the coarse one.
AGREEMENT = dict.fromkeys(BACKENDS, 1.0) | {"onnx-int8": 0.9}
CONFIDENCE_WITHIN = dict.fromkeys(BACKENDS, 2e-4) | {
    "torch-bf16": 0.03, "openvino-bf16": 0.03, "openvino-int8": 0.05, "onnx-int8": 0.2,
}  # fmt: skip

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def ridge(rows: Floats, labels: list[int], *, n_labels: int) -> tuple[Floats, Floats]:
    """Fit one row of weights a label, strong enough to be sure."""
    inputs = np.hstack([rows, np.ones((len(rows), 1))])
    targets = np.eye(n_labels)[labels] * 12
    fitted = np.linalg.solve(inputs.T @ inputs + 0.5 * np.eye(inputs.shape[1]), inputs.T @ targets).T
    return fitted[:, :-1].astype(np.float32), fitted[:, -1].astype(np.float32)


def fitted_heads(engine: Engine, draft: Manifest) -> dict[Kind, Head]:
    """Heads fitted to the hidden states of FP32 torch."""
    backend = engine.load_draft(draft).backend
    words, labels, means = [], [], []
    for text, tokens in zip(TEXTS, default_tokenizer().encode(TEXTS), strict=True):
        ids = np.r_[101, tokens.ids, 102].astype(np.int32)[None]
        hidden = backend.encode(ids, np.ones_like(ids))[0, 1:-1]
        means.append(hidden.mean(axis=0))
        words.append(hidden[tokens.word_starts])
        spans = zip(tokens.words.starts, tokens.words.ends, strict=True)
        labels += [2 if text[a:b] in NAMES else 4 if text[a:b] in PLACES else 0 for a, b in spans]
    weight, bias = ridge(np.vstack(words), labels, n_labels=5)
    padded = np.hstack([weight, np.zeros((5, N_FEATURES), dtype=np.float32)])
    topics = [int("loan" not in text) for text in TEXTS]
    return {
        Kind.ENTITIES: EntityHead(padded, bias),
        Kind.SINGLE_LABEL: ClassHead(*ridge(np.stack(means), topics, n_labels=2)),
    }


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Manifest]]:
    store = Store(f"file://{tmp_path_factory.mktemp('default')}")
    encoder = find_encoder()
    config, weights = encoder.config.read_bytes(), weights_of(load_module(encoder, attention="eager"))
    files = {WEIGHTS: weights, CONFIG: config, TOKENIZER: encoder.tokenizer.read_bytes()}
    graphs = export_graphs(config, weights, tokenizer=files[TOKENIZER])
    fields: dict[str, Any] = {
        "project": "p",
        "label": "v1",
        "categories": ["Person", "Place"],
        "language": "en",
        "encoder": EncoderManifest(
            name=encoder.name,
            hidden_size=encoder.hidden_size,
            max_tokens=encoder.max_tokens,
            files={name: store.put(data) for name, data in files.items()},
        ),
        "graphs": {name: store.put(graph) for name, graph in graphs.items()},
        "plan": Plan(backend="torch-fp32"),
    }
    unfitted = ClassHead(np.zeros((2, encoder.hidden_size), dtype=np.float32), np.zeros(2, dtype=np.float32))
    draft = Manifest(kind=Kind.SINGLE_LABEL, head=store.put(save_head(unfitted)), **fields)
    heads = fitted_heads(Engine(store), draft)
    return store, [Manifest(kind=kind, head=store.put(save_head(head)), **fields) for kind, head in heads.items()]


def said(
    store: Store, manifests: list[Manifest], backend: str
) -> tuple[dict[tuple[int, str, int, int], float], list[str]]:
    engine = Engine(store, plan_of=lambda _: Plan(backend=backend))
    models: tuple[LoadedModel, ...] = tuple(engine.load_draft(manifest) for manifest in manifests)
    spans, classes = {}, []
    for at, result in enumerate(engine.predict([Request(text, models) for text in TEXTS])):
        assert not isinstance(result, ModelError)
        for e in result[0]["entities"]:
            spans[at, e["category"], e["offset"], e["length"]] = e["confidenceScore"]
        classes.append(result[1]["classes"][0]["category"])
    return spans, classes


@pytest.mark.parametrize("name", BACKENDS)
def test_each_backend_gives_the_spans_and_classes_of_fp32_torch(
    name: str, manifests: tuple[Store, list[Manifest]]
) -> None:
    expected, expected_classes = said(*manifests, "torch-fp32")
    got, classes = said(*manifests, name)
    assert len(expected) >= 20
    both = expected.keys() & got.keys()
    assert len(both) >= AGREEMENT[name] * len(expected.keys() | got.keys())
    moved = [abs(got[span] - expected[span]) for span in both]
    assert max(moved) <= CONFIDENCE_WITHIN[name]
    assert classes == expected_classes
    assert set(classes) == {"Person", "Place"}


def test_int8_answers_in_company_as_alone_within_its_tolerance(manifests: tuple[Store, list[Manifest]]) -> None:
    """Activations are scaled by micro-batch, so INT8 moves with the company; FP32 does not (see test_reading)."""
    store, of = manifests
    engine = Engine(store, plan_of=lambda _: Plan(backend="onnx-int8"))
    model = engine.load_draft(of[0])
    together = engine.predict([Request(text, (model,)) for text in TEXTS])
    alone = [engine.predict([Request(text, (model,))])[0] for text in TEXTS]
    spans = [
        {
            (at, e["category"], e["offset"]): e["confidenceScore"]
            for at, result in enumerate(results)
            if not isinstance(result, ModelError)
            for e in result[0]["entities"]
        }
        for results in (together, alone)
    ]
    both = spans[0].keys() & spans[1].keys()
    assert len(both) >= 0.9 * len(spans[0].keys() | spans[1].keys())
    assert max(abs(spans[0][span] - spans[1][span]) for span in both) <= 0.2
