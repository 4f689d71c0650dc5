"""The shape of words, which an uncased encoder does not see: case, digits, punctuation, lines, and their neighbours.

They go to the entity head only, never into the encoder, so that encoders stay shareable.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.characters import CURRENCY, DIGIT, LINE_BREAK, LOWER, PUNCTUATION, SPACE, STOP, UPPER, Classes, classify
from models.tokenization import Flags, Ints, Tokens

Floats = NDArray[np.float32]

_SHAPES: Final = (
    "lower", "title", "upper", "capital", "mixed", "digits", "some digits", "1 digit", "2 digits", "4 digits",
    "5 digits", "punctuation", "currency", "after space", "after line", "after stop",
)  # fmt: skip
_TELLING_DIGITS: Final = (1, 2, 4, 5)  # days and months, years, postcodes
N_FEATURES: Final = 3 * len(_SHAPES)
"""Features of a token: the shape of its word, of the word before and of the word after."""


def token_features(text: str, tokens: Tokens) -> Floats:
    """Return what the head knows of each token's shape; all tokens of a word have the same.

    Returns:
        Shape: (T, F) with F = ``N_FEATURES``; each 0 or 1, and 0 beyond the ends of the text.
    """
    result: Floats = word_features(text, tokens)[np.cumsum(tokens.word_starts) - 1]
    return result


def word_features(text: str, tokens: Tokens) -> Floats:
    """Return the same for each word start. Shape: (W, F)."""
    words = tokens.words
    if not len(words.starts):
        return np.zeros((0, N_FEATURES), dtype=np.float32)
    shapes = _shapes(classify(text), words.starts, words.ends).astype(np.float32)
    edge = np.zeros((1, shapes.shape[1]), dtype=np.float32)
    return np.hstack([shapes, np.vstack([edge, shapes[:-1]]), np.vstack([shapes[1:], edge])])


def _shapes(classes: Classes, starts: Ints, ends: Ints) -> Flags:
    def count(*kinds: int) -> NDArray[np.int64]:
        sums = np.concatenate([[0], np.cumsum(np.isin(classes, kinds))])
        result: NDArray[np.int64] = sums[ends] - sums[starts]
        return result

    length = ends - starts
    lower, upper, digits = count(LOWER), count(UPPER), count(DIGIT)
    initial = np.append(classes, 0)[starts] == UPPER
    title = initial & (upper == 1) & (lower > 0)
    return np.column_stack([
        (lower > 0) & (upper == 0), title, (upper > 1) & (lower == 0), (upper == 1) & (lower == 0),
        (upper > 0) & (lower > 0) & ~title, (digits == length) & (length > 0), (digits > 0) & (digits < length),
        *((digits == length) & (length == n) for n in _TELLING_DIGITS),
        (count(PUNCTUATION, STOP) == length) & (length > 0), count(CURRENCY) > 0, *_before(classes, starts, ends),
    ])  # fmt: skip


def _before(classes: Classes, starts: Ints, ends: Ints) -> tuple[Flags, Flags, Flags]:
    """Whether space, a line break, or the stop of a sentence and then space stands before each word."""
    breaks = np.concatenate([[0], np.cumsum(classes == LINE_BREAK)])
    previous_end = np.concatenate([[0], np.minimum(ends[:-1], starts[1:])])
    after_line = breaks[starts] > breaks[previous_end]
    after_line[0] = True
    kinds = np.append(classes, SPACE)
    after_space = (kinds[starts - 1] == SPACE) | after_line
    after_stop = (kinds[previous_end - 1] == STOP) & after_space
    return after_space, after_line, after_stop
