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
    width = len(_SHAPES)
    features = np.zeros((len(words.starts), N_FEATURES), dtype=np.float32)
    for column, flags in enumerate(_shapes(classify(text), words.starts, words.ends)):
        features[:, column] = flags
    features[1:, width : 2 * width] = features[:-1, :width]
    features[:-1, 2 * width :] = features[1:, :width]
    return features


def _shapes(classes: Classes, starts: Ints, ends: Ints) -> tuple[Flags, ...]:
    """Return a flag for each word of each of ``_SHAPES``. Every event pays for each call of numpy in here."""
    sums = np.zeros(len(classes) + 1, dtype=np.int32)

    def count(kind: int) -> NDArray[np.int32]:
        np.cumsum(classes == kind, out=sums[1:])
        result: NDArray[np.int32] = sums[ends] - sums[starts]
        return result

    length = ends - starts
    lower, upper, digits = count(LOWER), count(UPPER), count(DIGIT)
    initial = np.append(classes, 0)[starts] == UPPER
    has_lower, has_upper, all_digits = lower > 0, upper > 0, (digits == length) & (length > 0)
    title = initial & (upper == 1) & has_lower
    return (
        has_lower & ~has_upper, title, (upper > 1) & ~has_lower, (upper == 1) & ~has_lower,
        has_upper & has_lower & ~title, all_digits, (digits > 0) & (digits < length),
        *(all_digits & (length == n) for n in _TELLING_DIGITS),
        (count(PUNCTUATION) + count(STOP) == length) & (length > 0), count(CURRENCY) > 0,
        *_before(classes, starts, ends),
    )  # fmt: skip


def _before(classes: Classes, starts: Ints, ends: Ints) -> tuple[Flags, Flags, Flags]:
    """Whether space, a line break, or the stop of a sentence and then space stands before each word."""
    breaks = np.zeros(len(classes) + 1, dtype=np.int32)
    np.cumsum(classes == LINE_BREAK, out=breaks[1:])
    previous_end = np.zeros_like(ends)
    np.minimum(ends[:-1], starts[1:], out=previous_end[1:])
    after_line = breaks[starts] > breaks[previous_end]
    after_line[0] = True
    kinds = np.append(classes, SPACE)
    after_space = (kinds[starts - 1] == SPACE) | after_line
    after_stop = (kinds[previous_end - 1] == STOP) & after_space
    return after_space, after_line, after_stop
