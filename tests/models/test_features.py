import numpy as np

from models.features import N_FEATURES, token_features, word_features
from tests.models.artefacts import default_tokenizer


def features_of(text: str) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    tokens = default_tokenizer().encode([text])[0]
    return word_features(text, tokens).reshape(-1, N_FEATURES)


def test_case_makes_a_difference_that_the_tokens_do_not_show() -> None:
    tokens = default_tokenizer().encode(["smith", "Smith"])
    assert tokens[0].ids.tolist() == tokens[1].ids.tolist()
    assert (features_of("smith") != features_of("Smith")).any()


def test_shapes_of_words_differ() -> None:
    words = ["lower", "Title", "UPPER", "X", "miXed", "7", "42", "1999", "90210", "123456", ".", "$"]
    rows = {features_of(f"a {word} b")[1, : N_FEATURES // 3].tobytes() for word in words}
    assert len(rows) == len(words)


def test_neighbours_are_part_of_the_features() -> None:
    own = N_FEATURES // 3
    rows = features_of("Alpha beta GAMMA")
    assert (rows[1, own : 2 * own] == rows[0, :own]).all()
    assert (rows[1, 2 * own :] == rows[2, :own]).all()
    assert not rows[0, own : 2 * own].any()


def test_all_tokens_of_a_word_have_its_features() -> None:
    text = "Unbelievabilities happen"
    tokens = default_tokenizer().encode([text])[0]
    rows = token_features(text, tokens)
    assert rows.shape == (len(tokens), N_FEATURES)
    assert (rows[0] == rows[1]).all()
    assert (rows[0] != rows[-1]).any()


def test_a_text_without_tokens_has_no_rows() -> None:
    tokens = default_tokenizer().encode([" "])[0]
    assert token_features(" ", tokens).shape == (0, N_FEATURES)
