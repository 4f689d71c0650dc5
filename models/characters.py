"""What kind of character each code point of a text is, for words, sentences and case features."""

import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

OTHER, SPACE, LINE_BREAK, LOWER, UPPER, LETTER, IDEOGRAPH, DIGIT, MARK, PUNCTUATION, CURRENCY, STOP = range(12)
"""Classes. LETTER has no case; IDEOGRAPH is of a script written without spaces; STOP ends a sentence."""

WORD_CLASSES: Final = np.isin(np.arange(12), [LOWER, UPPER, LETTER, DIGIT, MARK])

_UNKNOWN: Final = 255
_STOPS: Final = frozenset(".!?…。\uff01\uff1f؟।")
_CONTINUING: Final = frozenset("\u200c\u200d")
_UNSPACED: Final = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x30FF), (0x3100, 0x312F), (0x31A0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip
_table: Final = np.full(0x110000, _UNKNOWN, dtype=np.uint8)

Classes = NDArray[np.uint8]


def classify(text: str) -> Classes:
    """Return the class of every code point of ``text``.

    Classes of characters are found once in the life of the process, so a text costs one table look-up.
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    classes = _table[points]
    unknown = classes == _UNKNOWN
    if unknown.any():
        new = np.unique(points[unknown])
        _table[new] = [_class_of(int(point)) for point in new]
        classes = _table[points]
    return classes


def _class_of(point: int) -> int:
    character = chr(point)
    category = unicodedata.category(character)
    if character in "\n\r\u2028\u2029\u0085\v\f":
        return LINE_BREAK
    if character.isspace():
        return SPACE
    if character in _STOPS:
        return STOP
    if category[0] == "M" or character in _CONTINUING:
        return MARK
    if category[0] == "L" and any(low <= point <= high for low, high in _UNSPACED):
        return IDEOGRAPH
    return _BY_CATEGORY.get(category, _BY_CATEGORY.get(category[0], OTHER))


_BY_CATEGORY: Final = {
    "Ll": LOWER, "Lu": UPPER, "Lt": UPPER, "L": LETTER, "N": DIGIT, "Sc": CURRENCY, "P": PUNCTUATION,
}  # fmt: skip
