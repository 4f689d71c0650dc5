import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tokenization import Tokenizer, Tokens
from schemas.errors import ArtefactError
from tests.models.artefacts import default_tokenizer

TRICKY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(list("aZ9 .,$é\r\n\t\u0301\u200d\ufe0f\u00a0東👩🏽🇩🇪\x00\u0e01\u0e34\ud800")),
    ),
    max_size=60,
)


def tokens_of(text: str) -> Tokens:
    return default_tokenizer().encode([text])[0]


def words_of(text: str) -> list[str]:
    words = tokens_of(text).words
    return [text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]


def test_words_are_slices_of_the_original_text() -> None:
    assert words_of("The loan of $12,000.50 to José's\r\ncafe\u0301") == [
        "The", "loan", "of", "$", "12", ",", "000", ".", "50", "to", "José", "'", "s", "cafe\u0301",
    ]  # fmt: skip


def test_scripts_without_spaces_have_a_word_for_each_piece() -> None:
    assert words_of("東京IBM") == ["東", "京", "IBM"]


def test_emoji_sequences_count_in_code_points() -> None:
    assert words_of("👩\u200d👩 ok")[-1] == "ok"


@pytest.mark.parametrize("text", ["", " \r\n", "\u200d"])
def test_a_text_that_the_tokenizer_drops_has_no_tokens(text: str) -> None:
    assert len(tokens_of(text)) == 0
    assert len(tokens_of(text).words.starts) == 0


def test_a_lone_surrogate_does_not_move_what_follows() -> None:
    assert "end" in words_of("\ud800 mid \udfff end")


@given(TRICKY)
def test_words_do_not_overlap_and_lie_in_the_text(text: str) -> None:
    tokens = tokens_of(text)
    words = tokens.words
    bounds = np.column_stack([words.starts, words.ends]).ravel()
    assert (np.diff(bounds) >= 0).all()
    assert len(bounds) == 0 or (bounds[0] >= 0 and bounds[-1] <= len(text))
    assert all(not text[end : end + 1] or text[end] != "\u0301" for end in words.ends)


def test_order_is_kept_and_company_changes_nothing() -> None:
    texts = ["one two", "", "three $4"]
    alone = [tokens_of(text).ids.tolist() for text in texts]
    assert [tokens.ids.tolist() for tokens in default_tokenizer().encode(texts)] == alone


def test_a_long_text_is_tokenised_in_pieces_as_if_in_one() -> None:
    sentence = "Mr. Smith paid $12,000 in New Hampton.\n"
    tokens, once = tokens_of(sentence * 3000), tokens_of(sentence)
    assert tokens.ids.tolist() == once.ids.tolist() * 3000
    assert tokens.starts[-1] == 2999 * len(sentence) + once.starts[-1]
    assert tokens.words.ends[-1] == 3000 * len(sentence) - 1


def test_punctuation_glued_by_a_sentence_piece_tokenizer_is_a_word_of_its_own() -> None:
    import tokenizers
    from tokenizers import models, pre_tokenizers, processors

    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁paid", -1.0), ("▁$12", -1.0), (".", -1.0), ("▁", -2.0)]
    library = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokens = Tokenizer(library.to_str().encode()).encode(["paid $12."])[0]
    assert tokens.words.starts.tolist() == [0, 5, 8]
    assert tokens.words.ends.tolist() == [4, 8, 9]


def test_what_is_no_tokenizer_is_refused() -> None:
    with pytest.raises(ArtefactError, match="expected a fast tokenizer"):
        Tokenizer(b"{}")


def test_special_tokens_are_known() -> None:
    tokenizer = default_tokenizer()
    assert (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id) == (101, 102, 0)
