import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decoding import (
    NO_CLASS,
    decode_entities,
    decode_multi,
    decode_single,
    pool,
    type_probabilities,
    viterbi,
)
from models.tokenization import Words
from tests.models.artefacts import default_tokenizer
from tests.models.test_tokenization import TRICKY

CATEGORIES = ["A", "B"]
OUT, BA, IA, BB, IB = range(5)


def words_of(text: str) -> Words:
    return default_tokenizer().encode([text])[0].words


def logits_of(*labels: int, strength: float = 6.0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.eye(5, dtype=np.float32)[list(labels)] * np.float32(strength)


@pytest.mark.parametrize("decoder", ["type", "viterbi"])
def test_spans_come_out_with_their_place(decoder: str) -> None:
    text = "John Smith lives in  New York."
    logits = logits_of(BA, IA, OUT, OUT, BB, IB, OUT)
    entities = decode_entities(logits, words_of(text), text, categories=CATEGORIES, decoder=decoder)  # type: ignore[arg-type]
    assert [(e["text"], e["category"], e["offset"], e["length"]) for e in entities] == [
        ("John Smith", "A", 0, 10),
        ("New York", "B", 21, 8),
    ]
    assert all(0.9 < e["confidenceScore"] <= 1 for e in entities)


def test_only_viterbi_tells_touching_spans_apart() -> None:
    text = "Ann Bob"
    logits = logits_of(BA, BA)
    found = {
        decoder: [
            e["text"] for e in decode_entities(logits, words_of(text), text, categories=CATEGORIES, decoder=decoder)
        ]
        for decoder in ("type", "viterbi")
    }
    assert found == {"type": ["Ann Bob"], "viterbi": ["Ann", "Bob"]}


def test_type_decoder_adds_up_begin_and_inside() -> None:
    logits = np.log(np.array([[0.4, 0.3, 0.3, 0.0001, 0.0001]], dtype=np.float32))
    entities = decode_entities(logits, words_of("x"), "x", categories=CATEGORIES, decoder="type")
    assert [e["category"] for e in entities] == ["A"]
    assert entities[0]["confidenceScore"] == pytest.approx(0.6, abs=1e-3)


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_viterbi_finds_the_best_valid_sequence(n_words: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (n_words, 5)).astype(np.float32)

    def valid(path: tuple[int, ...]) -> bool:
        return all(now not in (IA, IB) or before in (now, now - 1) for before, now in itertools.pairwise((OUT, *path)))

    def score(path: tuple[int, ...]) -> float:
        return float(logits[np.arange(n_words), list(path)].astype(np.float64).sum())

    best = max(filter(valid, itertools.product(range(5), repeat=n_words)), key=score)
    got = tuple(viterbi(logits).tolist())
    assert valid(got)
    assert score(got) == pytest.approx(score(best))


@given(TRICKY, st.integers(0, 1000), st.sampled_from(["type", "viterbi"]))
def test_every_entity_is_its_slice_of_the_text(text: str, seed: int, decoder: str) -> None:
    words = words_of(text)
    logits = np.random.default_rng(seed).normal(0, 3, (len(words.starts), 5)).astype(np.float32)
    entities = decode_entities(logits, words, text, categories=CATEGORIES, decoder=decoder)  # type: ignore[arg-type]
    for entity in entities:
        assert (
            text[entity["offset"] : entity["offset"] + entity["length"]]
            == entity["text"]
            == entity["text"].strip()
            != ""
        )
        assert 0 <= entity["confidenceScore"] <= 1
    ends = [(e["offset"], e["offset"] + e["length"]) for e in entities]
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(ends))


def test_temperature_changes_confidence_but_not_the_span() -> None:
    logits = logits_of(BA, IA, OUT)
    sharp, soft = (
        decode_entities(logits, words_of("a b c"), "a b c", categories=CATEGORIES, temperature=t)[0] for t in (0.5, 3.0)
    )
    assert (sharp["offset"], sharp["length"]) == (soft["offset"], soft["length"])
    assert sharp["confidenceScore"] > soft["confidenceScore"]


def test_type_probabilities_sum_to_one() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (7, 5)).astype(np.float32)
    assert type_probabilities(logits, temperature=1.7).sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)


def test_single_label_gives_the_best_class() -> None:
    logits = np.array([0.0, 2.0], dtype=np.float32)
    assert decode_single(logits, categories=CATEGORIES) == [{"category": "B", "confidenceScore": 0.8808}]


def test_single_label_below_the_projects_threshold_is_no_class() -> None:
    logits = np.array([0.0, 2.0], dtype=np.float32)
    (score,) = decode_single(logits, categories=CATEGORIES, confidence_threshold=0.9)
    assert score == {"category": NO_CLASS, "confidenceScore": 0.8808}


def test_multi_label_gives_classes_at_or_above_their_thresholds_surest_first() -> None:
    logits = np.array([0.0, 2.0], dtype=np.float32)
    names = [c["category"] for c in decode_multi(logits, categories=CATEGORIES, thresholds={})]
    assert names == ["B", "A"]
    assert decode_multi(logits, categories=CATEGORIES, thresholds={"A": 0.6, "B": 0.95}) == []


def test_pooling_is_the_mean_and_has_length_one_on_request() -> None:
    total = np.array([6.0, 8.0], dtype=np.float32)
    assert pool(total, n_tokens=2).tolist() == [3.0, 4.0]
    assert pool(total, n_tokens=2, pooling="unitMean") == pytest.approx(np.array([0.6, 0.8]))
    assert not pool(np.zeros(2, dtype=np.float32), n_tokens=0, pooling="unitMean").any()
