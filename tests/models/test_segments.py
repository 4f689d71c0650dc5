from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.segments import SPECIAL_TOKENS, cut
from models.tokenization import Tokens
from tests.models.artefacts import default_tokenizer


def tokens_of(text: str) -> Tokens:
    return default_tokenizer().encode([text])[0]


WORDS = st.lists(
    st.sampled_from(["loan", "unbelievabilities", "of", "Smith.", "antidisestablishmentarianism", "\n", "x.", "7"]),
    min_size=1,
    max_size=300,
)


@given(WORDS, st.integers(8, 60), st.integers(0, 40))
def test_segments_fit_cover_and_keep_each_token_once(words: list[str], max_tokens: int, overlap: int) -> None:
    text = " ".join(words)
    tokens = tokens_of(text)
    segments = cut(tokens, text, max_tokens=max_tokens, overlap=overlap)
    kept = [at for segment in segments for at in range(segment.keep_start, segment.keep_end)]
    assert kept == list(range(len(tokens)))
    for segment in segments:
        assert segment.end - segment.start <= max_tokens - SPECIAL_TOKENS
        assert segment.start <= segment.keep_start <= segment.keep_end <= segment.end


@given(WORDS, st.integers(30, 60))
def test_no_cut_is_inside_a_word(words: list[str], max_tokens: int) -> None:
    text = " ".join(words)
    tokens = tokens_of(text)
    for segment in cut(tokens, text, max_tokens=max_tokens, overlap=12)[1:]:
        assert tokens.word_starts[segment.start]
        assert tokens.word_starts[segment.keep_start]


def test_a_segment_ends_with_a_sentence_where_one_is_near() -> None:
    text = "The quick brown fox jumps over it. " * 20
    tokens = tokens_of(text)
    segments = cut(tokens, text, max_tokens=40, overlap=8)
    assert all(text[: tokens.ends[segment.end - 1]].endswith(".") for segment in segments)


def test_a_word_longer_than_a_segment_is_cut_rather_than_lost() -> None:
    n_tokens = 100
    places = np.arange(n_tokens, dtype=np.int32)
    one_word = np.arange(n_tokens) == 0
    tokens = Tokens(places, places, places + 1, one_word, np.full(n_tokens, n_tokens, dtype=np.int32))
    segments = cut(tokens, "x" * n_tokens, max_tokens=32, overlap=8)
    assert [segment.keep_end - segment.keep_start for segment in segments] == [30, 30, 30, 10]


def test_tokens_are_kept_where_they_see_most_context() -> None:
    text = "word " * 300
    tokens = tokens_of(text)
    segments = cut(tokens, text, max_tokens=64, overlap=20)
    for left, right in pairwise(segments):
        assert abs((left.end - left.keep_end) - (right.keep_start - right.start)) <= 1


def test_a_document_without_tokens_has_no_segments() -> None:
    assert cut(tokens_of(""), "", max_tokens=16, overlap=4) == []
