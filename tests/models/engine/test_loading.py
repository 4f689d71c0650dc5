"""Models are loaded, share what they have in common, and are refused if they do not fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.engine.backend import Backend
from models.engine.engine import Engine, LoadedModel
from models.heads import Head, save_head
from models.manifest import Manifest
from models.store import Store
from schemas.errors import ArtefactError, ArtefactNotFound, SelfTestFailed, Unavailable
from schemas.names import Kind
from tests.models.artefacts import CATEGORIES, make_manifest
from tests.models.engine.engine_kit import LOAN, TEXTS, answered


def test_memory_counts_what_is_shared_once_and_goes_with_the_last_model(store: Store, digests: list[str]) -> None:
    engine = Engine(store)
    assert engine.loaded_bytes() == 0
    first = engine.load(digests[0])
    assert engine.loaded_bytes() == first.nbytes
    second = engine.load(digests[1])
    assert engine.load(digests[1]) is second
    assert engine.loaded_bytes() == first.nbytes + second.own_nbytes
    engine.unload(digests[0])
    assert engine.loaded_bytes() == second.nbytes
    engine.unload(digests[1])
    engine.unload(digests[1])
    assert engine.loaded_bytes() == 0
    assert answered(engine, [LOAN], (second,))[0][0]["classes"]


def test_models_of_different_encoders_do_not_share(
    engine: Engine, models: tuple[LoadedModel, ...], store: Store
) -> None:
    other = engine.load_draft(make_manifest(store, encoder_seed=5))
    assert other.backend is not models[0].backend
    assert other.tokenizer is models[0].tokenizer
    together = answered(engine, TEXTS, (models[0], other))
    assert [result[0] for result in together] == [r[0] for r in answered(engine, TEXTS, models[:1])]
    assert [result[1] for result in together] == [r[0] for r in answered(engine, TEXTS, (other,))]


def test_saved_and_loaded_again_it_says_the_same(store: Store, digests: list[str]) -> None:
    results = []
    for _ in range(2):
        engine = Engine(store)
        results.append(answered(engine, TEXTS, tuple(engine.load(digest) for digest in digests)))
    assert results[0] == results[1]


def with_self_test(engine: Engine, manifest: Manifest) -> Manifest:
    ((prediction,),) = answered(engine, [LOAN], (engine.load_draft(manifest),))
    return manifest.model_validate(manifest.payload() | {"selfTest": [{"text": LOAN, **prediction}]})


def sure_of_something_else(manifest: Manifest, engine: Engine) -> Head:
    """A head that is sure of another category than the model, whatever it reads."""
    ((said,),) = answered(engine, [LOAN], (engine.load_draft(manifest),))
    head = engine.load_draft(manifest).head
    wanted = -1 if manifest.kind is Kind.ENTITIES else CATEGORIES.index(said["classes"][0]["category"]) - 1
    bias = np.full(len(head.bias), -20, dtype=np.float32)
    bias[wanted] = 20
    return replace(head, weight=np.zeros_like(head.weight), bias=bias)


def test_a_model_that_says_something_else_than_when_it_was_made_is_refused(engine: Engine, store: Store) -> None:
    for kind in (Kind.ENTITIES, Kind.SINGLE_LABEL):
        manifest = with_self_test(engine, make_manifest(store, kind))
        engine.load(store.save_manifest(manifest))
        head = store.put(save_head(sure_of_something_else(manifest, engine)))
        changed = manifest.model_copy(update={"head": head})
        with pytest.raises(SelfTestFailed, match="expected what it said when it was made"):
            engine.load(store.save_manifest(changed))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backend": "abacus"}, "expected one of torch-fp32"),
        ({"graphs": {}}, "got backend 'onnx-fp32'"),
        ({"decoding": {"maxTokens": 300}}, "expected at most 128"),
        ({"categories": ["Only"]}, "got a head of shapes"),
    ],
)
def test_an_artefact_that_does_not_fit_is_refused(
    engine: Engine, store: Store, changes: dict[str, Any], reason: str
) -> None:
    before = engine.loaded_bytes()
    with pytest.raises(ArtefactError, match=reason):
        engine.load_draft(make_manifest(store, **changes))
    assert engine.loaded_bytes() == before


def test_an_absent_model_is_not_found(engine: Engine) -> None:
    with pytest.raises(ArtefactNotFound):
        engine.load(f"sha256:{'0' * 64}")


def test_a_damaged_blob_keeps_a_model_from_loading(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    manifest = make_manifest(store)
    digest = store.save_manifest(manifest)
    for blob in (manifest.head, manifest.graphs["onnx-fp32"], manifest.encoder.files["tokenizer.json"]):
        path = tmp_path / "blobs/sha256" / blob.removeprefix("sha256:")
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        with pytest.raises(ArtefactError, match="expected sha256:"):
            Engine(store).load(digest)
        path.write_bytes(data)
    assert Engine(store).load(digest).digest == digest


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (OSError(5, "Input/output error"), Unavailable),
        (MemoryError(), ArtefactError),
        (RuntimeError("CUDA out of memory"), ArtefactError),
    ],
)
def test_whatever_breaks_while_a_model_loads_is_foreseen(
    store: Store, digests: list[str], monkeypatch: pytest.MonkeyPatch, broken: Exception, expected: type[Exception]
) -> None:
    def breaks(*_: object, **__: object) -> Backend:
        raise broken

    engine = Engine(store)
    with monkeypatch.context() as patch, pytest.raises(expected, match=r"got .*, expected|from loading"):
        patch.setattr("models.engine.engine.load_backend", breaks)
        engine.load(digests[0])
    assert engine.loaded_bytes() == 0
    assert engine.load(digests[0]).digest == digests[0]
