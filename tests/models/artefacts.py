"""Small artefacts made in process: a random two-layer BERT over the default encoder's tokenizer, and heads for it."""

import json
from functools import cache
from typing import Any

import numpy as np
from safetensors.numpy import save

from models.encoder import find_encoder
from models.engine.export import export_graphs
from models.features import N_FEATURES
from models.heads import ClassHead, EntityHead, save_head
from models.manifest import CONFIG, TOKENIZER, WEIGHTS, EncoderManifest, Manifest
from models.plans import Plan
from models.store import Store
from models.tokenization import Tokenizer
from schemas.names import Kind

WIDTH = 32
CATEGORIES = ["Person", "Place", "Amount"]
TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


@cache
def default_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(find_encoder().tokenizer)


def tiny_config(**changes: object) -> bytes:
    return json.dumps(TINY | changes).encode()


@cache
def tiny_weights(seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    return save({name: _random(rng, name, shape) for name, shape in _shapes().items()})


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Any:
    if "LayerNorm" in name:
        return np.full(shape, float(name.endswith("weight")), dtype=np.float32)
    return rng.normal(0, 0.3, shape).astype(np.float32)


def _shapes() -> dict[str, tuple[int, ...]]:
    wide = TINY["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (TINY["vocab_size"], WIDTH),
        "embeddings.position_embeddings.weight": (TINY["max_position_embeddings"], WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    } | _pair("embeddings.LayerNorm", (WIDTH,))
    for layer in range(TINY["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _pair(f"{at}.attention.{part}", (WIDTH, WIDTH))
        shapes |= _pair(f"{at}.intermediate.dense", (wide, WIDTH)) | _pair(f"{at}.output.dense", (WIDTH, wide))
        shapes |= _pair(f"{at}.attention.output.LayerNorm", (WIDTH,)) | _pair(f"{at}.output.LayerNorm", (WIDTH,))
    return shapes


def _pair(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


@cache
def tiny_graphs(seed: int = 0) -> dict[str, bytes]:
    return export_graphs(tiny_config(), tiny_weights(seed), tokenizer=find_encoder().tokenizer.read_bytes())


def random_head(kind: Kind, *, width: int = WIDTH, seed: int = 1, spread: float = 1.0) -> EntityHead | ClassHead:
    rng = np.random.default_rng(seed)
    n_labels = 1 + 2 * len(CATEGORIES) if kind is Kind.ENTITIES else len(CATEGORIES)
    n_inputs = width + N_FEATURES if kind is Kind.ENTITIES else width
    weight = rng.normal(0, spread, (n_labels, n_inputs)).astype(np.float32)
    make = EntityHead if kind is Kind.ENTITIES else ClassHead
    return make(weight, rng.normal(0, 0.1, n_labels).astype(np.float32))


def put_encoder(store: Store, *, seed: int = 0) -> tuple[EncoderManifest, dict[str, str]]:
    files = {WEIGHTS: tiny_weights(seed), CONFIG: tiny_config(), TOKENIZER: find_encoder().tokenizer.read_bytes()}
    encoder = EncoderManifest(
        name="tiny",
        hidden_size=WIDTH,
        max_tokens=TINY["max_position_embeddings"],
        files={name: store.put(data) for name, data in files.items()},
    )
    return encoder, {name: store.put(graph) for name, graph in tiny_graphs(seed).items()}


def make_manifest(
    store: Store, kind: Kind = Kind.ENTITIES, *, encoder_seed: int = 0, backend: str = "onnx-fp32", **changes: Any
) -> Manifest:
    """Return a manifest whose blobs are in ``store``; it is not itself saved."""
    encoder, graphs = put_encoder(store, seed=encoder_seed)
    fields: dict[str, Any] = {
        "project": "p",
        "label": "v1",
        "kind": kind,
        "categories": CATEGORIES,
        "language": "en",
        "encoder": encoder,
        "graphs": graphs,
        "head": store.put(save_head(random_head(kind))),
        "decoding": {"maxTokens": 64, "overlap": 16},
        "plan": Plan(backend=backend),
    }
    return Manifest.model_validate(fields | changes)
