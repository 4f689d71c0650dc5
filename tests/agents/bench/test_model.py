from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.bench.documents import mixed
from agents.bench.model import doubled, export_transformers, halved, make_model
from models.engine.engine import Engine, Request
from models.plans import Plan
from models.store import Store
from schemas.errors import ModelError


def test_doubled_head_gives_each_category_its_probability_in_two_halves() -> None:
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(4, 6)).astype(np.float32), random.normal(size=4).astype(np.float32)
    head = doubled(weight, bias)
    hidden = random.normal(size=(5, 6)).astype(np.float32)
    once = np.exp(hidden @ weight.T + bias)
    twice = np.exp(head.logits(hidden, np.ones((5, head.weight.shape[1] - 6), dtype=np.float32)))
    np.testing.assert_allclose(twice[:, 1::2] + twice[:, 2::2], once[:, 1:], rtol=1e-5)
    np.testing.assert_allclose(twice[:, 0], once[:, 0], rtol=1e-5)


def test_halved_undoes_doubled() -> None:
    random = np.random.default_rng(1)
    weight, bias = random.normal(size=(4, 6)).astype(np.float32), random.normal(size=4).astype(np.float32)
    again, shares = halved(doubled(weight, bias), width=6)
    np.testing.assert_array_equal(again, weight)
    np.testing.assert_allclose(shares, bias, atol=1e-6)


@pytest.mark.slow
def test_transformers_finds_the_same_spans_as_the_engine(tmp_path: Path) -> None:
    from transformers import pipeline

    store = Store(f"file://{tmp_path}/store")
    manifest = make_model(store)
    folder = export_transformers(manifest, store, tmp_path / "transformers")
    texts = [document.text for document in mixed(50, seed=3)]
    named: Any = pipeline("token-classification", model=str(folder), aggregation_strategy="first")
    theirs = [[(each["entity_group"], each["start"], each["end"]) for each in named(text)] for text in texts]
    assert sum(map(len, theirs)) > len(texts)
    for backend in ("torch-fp32", "onnx-fp32"):
        assert _spans(manifest.digest, texts, store=store, backend=backend) == theirs


def _spans(digest: str, texts: list[str], *, store: Store, backend: str) -> list[list[tuple[str, int, int]]]:
    with Engine(store, plan_of=lambda _: Plan(backend=backend, threads=2)) as engine:
        model = engine.load(digest)
        answers = engine.predict([Request(text, (model,)) for text in texts])
    found = []
    for answer in answers:
        assert not isinstance(answer, ModelError)
        entities = answer[0]["entities"]
        found.append([(each["category"], each["offset"], each["offset"] + each["length"]) for each in entities])
    return found
