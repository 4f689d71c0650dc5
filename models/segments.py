"""Long documents to segments that fit the encoder.

Segments overlap, and each token is *kept* from exactly one of them: the one that sees most context around it. So what
the head says of all kept tokens is one sequence, as if there had been no segments, and each span comes out once.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.characters import LINE_BREAK, SPACE, STOP, classify
from models.tokenization import Tokens

SPECIAL_TOKENS = 2
_SENTENCE_SHARE = 4  # a segment gives up at most a quarter of its length to end with a sentence

Bounds = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document: tokens ``start`` to ``end``, of which ``keep_start`` to ``keep_end`` are kept from it."""

    start: int
    end: int
    keep_start: int
    keep_end: int


def cut(tokens: Tokens, text: str, *, max_tokens: int, overlap: int) -> list[Segment]:
    """Return the segments of a document, in order; none for one without tokens.

    Cuts are at sentence ends where one is near, else between words; only a word that is longer than a segment is cut.

    Args:
        tokens: The document's tokens.
        text: The document.
        max_tokens: The longest segment, with its two special tokens.
        overlap: How many tokens neighbouring segments share, about.
    """
    room = max_tokens - SPECIAL_TOKENS
    if len(tokens) <= room:
        return [Segment(0, len(tokens), 0, len(tokens))] if len(tokens) else []
    words = np.append(np.flatnonzero(tokens.word_starts), len(tokens))
    spans = _spans(len(tokens), words, _sentence_starts(tokens, text), room=room, overlap=min(overlap, room // 2))
    seams = [0, *(_seam(words, left[1], right[0]) for left, right in pairwise(spans)), len(tokens)]
    return [
        Segment(start, end, low, high) for (start, end), low, high in zip(spans, seams[:-1], seams[1:], strict=True)
    ]


def _spans(n_tokens: int, words: Bounds, sentences: Bounds, *, room: int, overlap: int) -> list[tuple[int, int]]:
    spans = []
    start = 0
    while n_tokens - start > room:
        limit = start + room
        least = limit - room // _SENTENCE_SHARE
        end = _last(sentences, after=least, until=limit) or _last(words, after=start, until=limit) or limit
        spans.append((start, end))
        start = _last(words, after=max(start, end - 2 * overlap), until=end - overlap) or end
    return [*spans, (start, n_tokens)]


def _last(bounds: Bounds, *, after: int, until: int) -> int | None:
    """Return the last bound in ``after`` < bound <= ``until``."""
    at = int(np.searchsorted(bounds, until, side="right")) - 1
    return int(bounds[at]) if at >= 0 and bounds[at] > after else None


def _seam(words: Bounds, left_end: int, right_start: int) -> int:
    """The word bound nearest to the middle of an overlap, within it: there both segments see equally far."""
    middle = (left_end + right_start + 1) // 2
    at = int(np.searchsorted(words, middle))
    near = [int(word) for word in words[max(0, at - 1) : at + 1] if right_start <= word <= left_end]
    return min(near, key=lambda word: abs(word - middle), default=middle)


def _sentence_starts(tokens: Tokens, text: str) -> Bounds:
    """Tokens before which a sentence or a line has ended, judged by what stands between them and the word before."""
    classes = np.append(classify(text), SPACE)
    at = np.flatnonzero(tokens.word_starts)[1:]
    previous_ends = np.minimum(tokens.ends[at - 1], tokens.starts[at])
    breaks = np.concatenate([[0], np.cumsum(classes == LINE_BREAK)])
    line = breaks[tokens.starts[at]] > breaks[previous_ends]
    stop = (classes[previous_ends - 1] == STOP) & (tokens.starts[at] > previous_ends)
    starts: Bounds = at[line | stop]
    return starts
