"""A window is read: in order, in segments, and around what is poisonous or too big for the memory."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engine.backend import Backend, Floats, Ints
from models.engine.engine import Engine, LoadedModel, Prediction, Request
from models.plans import Plan
from models.store import Store
from schemas.errors import ModelError
from tests.models.artefacts import TINY, WIDTH
from tests.models.engine.engine_kit import LOAN, TEXTS, answered, requests_for
from tests.models.test_tokenization import TRICKY


class Wrapped:
    """A backend that does something else on the way, and counts."""

    def __init__(self, inner: Backend, before: Callable[[Ints, Ints], None]) -> None:
        self._inner, self._before = inner, before
        self.plan, self.nbytes = inner.plan, inner.nbytes
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, ids: Ints, mask: Ints) -> Floats:
        self.shapes.append(ids.shape)
        self._before(ids, mask)
        return self._inner.encode(ids, mask)


def nothing(_ids: Ints, _mask: Ints) -> None:
    pass


def with_backend(models: tuple[LoadedModel, ...], backend: Backend) -> tuple[LoadedModel, ...]:
    return tuple(replace(model, backend=backend) for model in models)


def test_results_stand_in_the_order_of_the_requests(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    forwards, backwards = answered(engine, TEXTS, models), answered(engine, TEXTS[::-1], models)
    assert forwards == backwards[::-1]
    assert [sorted(prediction) for prediction in forwards[0]] == [["entities"], ["classes"], ["classes"]]
    assert forwards[0] != forwards[5]


def places(result: Prediction) -> list[tuple[str, int, int]]:
    return [(entity["category"], entity["offset"], entity["length"]) for entity in result["entities"]]


def test_a_window_of_many_is_as_many_windows_of_one(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    together = answered(engine, TEXTS, models)
    alone = [answered(engine, [text], models)[0] for text in TEXTS]
    for many, one in zip(together, alone, strict=True):
        assert places(many[0]) == places(one[0])
        confidences = [[e["confidenceScore"] for e in result[0]["entities"]] for result in (many, one)]
        assert confidences[0] == pytest.approx(confidences[1], abs=2e-4)
        assert many[1]["classes"][0]["category"] == one[1]["classes"][0]["category"]


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TRICKY, min_size=1, max_size=4))
def test_every_entity_equals_its_slice(engine: Engine, models: tuple[LoadedModel, ...], texts: list[str]) -> None:
    for text, result in zip(texts, answered(engine, texts, models), strict=True):
        for entity in result[0]["entities"]:
            assert text[entity["offset"] : entity["offset"] + entity["length"]] == entity["text"]
        for score in result[1]["classes"] + result[2]["classes"]:
            assert 0 <= score["confidenceScore"] <= 1


def test_a_text_that_tokenises_to_nothing_has_no_entities(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    ((entities, single, _),) = answered(engine, ["\u200d"], models)
    assert entities == {"entities": []}
    assert len(single["classes"]) == 1


class WordByWord:
    """An encoder that sees each token alone, so that segments cannot change what it says."""

    plan = Plan(backend="synthetic")
    nbytes = 0
    _table = np.random.default_rng(7).normal(size=(TINY["vocab_size"], WIDTH)).astype(np.float32)

    def encode(self, ids: Ints, _mask: Ints) -> Floats:
        result: Floats = self._table[ids]
        return result


@pytest.mark.parametrize("n_characters", [10_000, 1_000_000])
def test_a_long_document_gives_the_spans_of_the_unsegmented_truth(
    engine: Engine, models: tuple[LoadedModel, ...], n_characters: int
) -> None:
    some = "".join(LOAN.replace("Smith", name) for name in ("Smith", "Jones", "Li", "Okonkwo-Bär"))
    text = some * (n_characters // len(some) + 1)
    cut = with_backend(models, WordByWord())
    facts = models[0].manifest
    long = facts.encoder.model_copy(update={"max_tokens": 1 << 20})
    whole = facts.decoding.model_copy(update={"max_tokens": 1 << 20})
    uncut = tuple(
        replace(model, manifest=model.manifest.model_copy(update={"encoder": long, "decoding": whole})) for model in cut
    )
    (segmented,), (unsegmented,) = answered(engine, [text], cut), answered(engine, [text], uncut)
    assert segmented[0] == unsegmented[0]
    assert len(segmented[0]["entities"]) > n_characters / 40
    assert segmented[1]["classes"][0]["category"] == unsegmented[1]["classes"][0]["category"]
    confidences = [result[1]["classes"][0]["confidenceScore"] for result in (segmented, unsegmented)]
    assert confidences[0] == pytest.approx(confidences[1], abs=2e-4)


def test_spans_from_overlapping_segments_come_out_once(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    ((entities, *_),) = answered(engine, [LOAN * 30], models)
    found = Counter((entity["offset"], entity["length"]) for entity in entities["entities"])
    assert found
    assert max(found.values()) == 1
    ends = [(entity["offset"], entity["offset"] + entity["length"]) for entity in entities["entities"]]
    assert all(left[1] <= right[0] for left, right in pairwise(ends))


POISON = "zebra"


def test_a_poisonous_document_is_isolated(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    poison = int(models[0].tokenizer.encode([POISON])[0].ids[0])

    def raise_on_poison(ids: Ints, _mask: Ints) -> None:
        if (ids == poison).any():
            raise RuntimeError("secret words of the document")

    texts = [*TEXTS, f"a {POISON} here", *TEXTS, LOAN * 5 + POISON]
    results = engine.predict(requests_for(texts, with_backend(models, Wrapped(models[0].backend, raise_on_poison))))
    failed = [at for at, result in enumerate(results) if isinstance(result, ModelError)]
    assert failed == [len(TEXTS), len(texts) - 1]
    assert "secret" not in str(results[failed[0]])
    healthy = [result for result in results if not isinstance(result, ModelError)]
    expected = answered(engine, [*TEXTS, *TEXTS], models)
    assert [places(result[0]) for result in healthy] == [places(result[0]) for result in expected]


def test_hidden_states_that_are_no_numbers_fail_that_document_alone(
    engine: Engine, models: tuple[LoadedModel, ...]
) -> None:
    class Broken(Wrapped):
        def encode(self, ids: Ints, mask: Ints) -> Floats:
            hidden = super().encode(ids, mask).copy()
            hidden[(ids == models[0].tokenizer.encode([POISON])[0].ids[0]).any(axis=1)] = np.nan
            return hidden

    results = engine.predict(requests_for([LOAN, POISON], with_backend(models, Broken(models[0].backend, nothing))))
    assert not isinstance(results[0], ModelError)
    assert isinstance(results[1], ModelError)
    assert "not finite" in str(results[1])


def test_out_of_memory_halves_the_micro_batch(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    def small_only(ids: Ints, _mask: Ints) -> None:
        if len(ids) > 2:
            raise MemoryError

    texts = [f"Loan number {number} for Smith" for number in range(9)]
    backend = Wrapped(models[0].backend, small_only)
    results = answered(engine, texts, with_backend(models, backend))
    assert [places(result[0]) for result in results] == [places(r[0]) for r in answered(engine, texts, models)]
    assert [shape[0] for shape in backend.shapes] == [9, 4, 2, 2, 5, 2, 3, 1, 2]


def test_a_document_that_never_fits_the_memory_is_refused(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    def never(_ids: Ints, _mask: Ints) -> None:
        raise MemoryError

    results = engine.predict(requests_for(["a", "b"], with_backend(models, Wrapped(models[0].backend, never))))
    assert [type(result) for result in results] == [ModelError, ModelError]
    causes = [result.__cause__ for result in results if isinstance(result, ModelError)]
    assert [type(cause) for cause in causes] == [MemoryError, MemoryError]
    kept = [getattr(error, "__traceback__", None) for error in (*results, *causes)]
    assert kept == [None] * 4, "frames would keep the model in memory"


def test_models_of_one_encoder_share_its_backend_and_its_forward_pass(
    engine: Engine, models: tuple[LoadedModel, ...]
) -> None:
    assert len({id(model.backend) for model in models}) == 1
    assert len({id(model.tokenizer) for model in models}) == 1
    shared, alone = Wrapped(models[0].backend, nothing), Wrapped(models[0].backend, nothing)
    answered(engine, TEXTS, with_backend(models, shared))
    answered(engine, TEXTS, with_backend(models[:1], alone))
    assert shared.shapes == alone.shapes


def test_a_text_that_comes_twice_is_read_once(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    backend = Wrapped(models[0].backend, nothing)
    results = answered(engine, [LOAN, LOAN], with_backend(models, backend))
    assert results[0] == results[1]
    assert [shape[0] for shape in backend.shapes] == [1]


def test_requests_may_ask_different_models(engine: Engine, models: tuple[LoadedModel, ...]) -> None:
    entities, single, _ = models
    results = engine.predict([Request(LOAN, (single,)), Request(LOAN, (entities, single)), Request(LOAN, ())])
    assert [len(result) for result in results if not isinstance(result, ModelError)] == [1, 2, 0]
    assert engine.predict([]) == []


def test_stages_are_observed(store: Store, digests: list[str]) -> None:
    seconds: dict[str, float] = {}

    def observe(stage: str, spent: float) -> None:
        seconds[stage] = seconds.get(stage, 0.0) + spent

    engine = Engine(store, observe=observe)
    model = engine.load(digests[0])
    assert seconds == {}
    answered(engine, [LOAN], (model,))
    assert set(seconds) == {"tokenise", "segment", "forward", "head", "decode"}
    assert all(spent >= 0 for spent in seconds.values())
