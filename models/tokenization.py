"""Texts to tokens that know where in the text they stand.

Uses the ``tokenizers`` library alone, so a worker that serves ONNX imports neither torch nor transformers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from models.characters import LINE_BREAK, MARK, SPACE, WORD_CLASSES, Classes, classify
from models.tokenizer_check import check_patterns, check_tokenizer, is_panic
from schemas.errors import ArtefactError

Ints = NDArray[np.int32]
Flags = NDArray[np.bool_]

_Piece = tuple[Ints, Ints, Ints]
"""Token ids, their bounds, and the words they belong to. Shapes: (T,), (T, 2), (T,)."""
_SPECIAL_TOKENS = 2
_GROUP_CHARS = 500_000
"""So many characters are handed to the library at once: more than a window has, less than a book."""
_REASON_CHARS = 200
_PIECE_CHARS = 50_000
"""Texts are tokenised in pieces of at most this length, since the library keeps a few hundred bytes a token."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text as tokens see them. Shape of both: (W,), in code points of the original text."""

    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text, without special tokens. All arrays have shape (T,).

    Attributes:
        ids: Token ids.
        starts: Where each token begins, in code points of the original text; white space is not part of a token.
        ends: Where it ends (exclusive).
        word_starts: Which tokens begin a word. What the entity head is asked about are these.
        word_ends: Where the word that a token belongs to ends (exclusive), with its combining marks.
    """

    ids: Ints
    starts: Ints
    ends: Ints
    word_starts: Flags
    word_ends: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def words(self) -> Words:
        """The words, one for each word start."""
        return Words(self.starts[self.word_starts], self.word_ends[self.word_starts])


class Tokenizer:
    """A fast tokenizer of a BERT-like encoder: one special token before a text, one after it.

    Attributes:
        cls_id: The special token before a text.
        sep_id: The special token after it.
        pad_id: What fills a row up; always masked.
    """

    def __init__(self, data: bytes) -> None:
        """Read ``tokenizer.json``.

        Raises:
            ArtefactError: It is no tokenizer, puts other special tokens around a text, or may take for ever.
        """
        check_patterns(data)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(data)
        except BaseException as error:
            if not (isinstance(error, Exception) or is_panic(error)):
                raise
            told = str(error).partition("\n")[0][:_REASON_CHARS]
            raise ArtefactError(
                f"got a tokenizer.json that cannot be read ({told}), expected a fast tokenizer"
            ) from error
        padding = self._tokenizer.padding or {}
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        around = self._tokenizer.encode("", add_special_tokens=True).ids
        if len(around) != _SPECIAL_TOKENS:
            raise ArtefactError(
                f"got a tokenizer with {len(around)} special tokens around a text, expected one before and one after"
            )
        self.cls_id, self.sep_id = around
        self.pad_id = int(padding.get("pad_id", self._named_pad()))
        check_tokenizer(self._tokenizer)

    @classmethod
    def from_file(cls, path: Path) -> "Tokenizer":
        """Return the tokenizer in a ``tokenizer.json``."""
        return cls(path.read_bytes())

    def _named_pad(self) -> int:
        found = (self._tokenizer.token_to_id(name) for name in ("[PAD]", "<pad>"))
        return next((token for token in found if token is not None), self.sep_id)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of every text, in order; however long, nothing is cut off."""
        pieces = [list(_pieces(_without_surrogates(text))) for text in texts]
        encodings = self._read([piece for text in pieces for _, piece in text])
        return [
            _tokens(classify(text), [(at, next(encodings)) for at, _ in parts])
            for text, parts in zip(texts, pieces, strict=True)
        ]

    def _read(self, pieces: list[str]) -> Iterator[_Piece]:
        """Give the tokens of each piece; of a book, only some pieces are in the library's own form at a time."""
        for group in _groups(pieces):
            for encoding in self._encoded(group):
                offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
                yield np.array(encoding.ids, dtype=np.int32), offsets, _word_ids(encoding)

    def _encoded(self, pieces: list[str]) -> list[tokenizers.Encoding]:
        try:
            return self._tokenizer.encode_batch(pieces, add_special_tokens=False)
        except BaseException as error:
            if is_panic(error):  # no Exception, so nobody would expect it
                raise RuntimeError("the tokenizer gave up") from None
            raise


def _without_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(text) else text


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Cut before white space, so that tokenizers which join a space to the next word see what they expect."""
    at = 0
    while len(text) - at > _PIECE_CHARS:
        limit = at + _PIECE_CHARS
        end = max(text.rfind(" ", at + 1, limit), text.rfind("\n", at + 1, limit))
        end = end if end > at else limit
        yield at, text[at:end]
        at = end
    yield at, text[at:]


def _groups(pieces: Sequence[str]) -> Iterator[list[str]]:
    group: list[str] = []
    n_chars = 0
    for piece in pieces:
        if group and n_chars + len(piece) > _GROUP_CHARS:
            yield group
            group, n_chars = [], 0
        group.append(piece)
        n_chars += len(piece)
    if group:
        yield group


def _tokens(classes: Classes, parts: Sequence[tuple[int, _Piece]]) -> Tokens:
    ids = np.concatenate([piece[0] for _, piece in parts])
    offsets = np.concatenate([piece[1] + at for at, piece in parts])
    words = np.concatenate([piece[2] for _, piece in parts])
    starts, ends = _without_space(offsets[:, 0], offsets[:, 1], classes)
    word_starts = _word_starts(starts, words, classes)
    return Tokens(ids, starts, ends, word_starts, _word_ends(starts, ends, word_starts, classes))


def _word_ids(encoding: tokenizers.Encoding) -> Ints:
    return np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int32)


def _without_space(starts: Ints, ends: Ints, classes: Classes) -> tuple[Ints, Ints]:
    """Move the bounds of tokens inwards over white space; a token of nothing else becomes empty."""
    space = np.append((classes == SPACE) | (classes == LINE_BREAK), False)
    starts, ends = starts.copy(), ends.copy()
    while (move := (starts < ends) & space[starts]).any():
        starts += move
    while (move := (starts < ends) & space[ends - 1]).any():
        ends -= move
    return starts, ends


def _word_starts(starts: Ints, words: Ints, classes: Classes) -> Flags:
    """A word begins where the tokenizer says so, and wherever letters or digits meet anything else.

    Sentence-piece tokenizers glue punctuation to words; a span could then not end before a full stop.
    """
    flags = np.ones(len(starts), dtype=np.bool_)
    if len(starts) > 1:
        kinds = np.append(classes, 0)
        first, before = kinds[starts[1:]], kinds[starts[1:] - 1]
        inside = (WORD_CLASSES[first] & WORD_CLASSES[before]) | (first == MARK)
        same_character = starts[1:] == starts[:-1]
        flags[1:] = ((np.diff(words) != 0) | ~inside) & ~same_character
    return flags


def _word_ends(starts: Ints, ends: Ints, word_starts: Flags, classes: Classes) -> Ints:
    """Where each token's word ends: its last token's end, and the combining marks that a tokenizer may drop."""
    if not len(ends):
        return ends
    first = np.flatnonzero(word_starts)
    last = np.append(first[1:], len(ends)) - 1
    of_words = ends[last]
    limit = np.maximum(np.append(starts[first[1:]], len(classes)), of_words)
    mark = np.append(classes == MARK, False)
    while (move := mark[of_words] & (of_words < limit)).any():
        of_words = of_words + move
    return np.repeat(of_words, np.diff(np.append(first, len(ends)))).astype(np.int32)
