"""Documents to measure with: made of the demo's sentences, in lengths as they come in practice, no two alike.

Every hundred documents have the same lengths in another order, so that subjects which get different numbers of them
see the same mix.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log
from random import Random
from statistics import NormalDist
from typing import Final

from agents.demo.samples import DATA, SAMPLES
from models.encoder import find_encoder
from models.tokenization import Tokenizer, Tokens

MAX_TOKENS: Final = 500
_MIN_TOKENS: Final = 8
_BLOCK: Final = 100
_TRIES: Final = 50
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\s*\n\s*")
_NUMBER = re.compile(r"\d+")
_CENTURY = re.compile(r"(?:19|20)(?=\d\d$)")
_SHORTEST_SENTENCE: Final = 2
_PLAIN = str.maketrans({"£": "$", "€": "$", "\u2013": "-", "\u2019": "'"})
_LONGEST_SENTENCE: Final = 80
_LAST_SENTENCE: Final = 26
_SLACK: Final = 3


@dataclass(frozen=True, slots=True)
class BenchDocument:
    """A document to measure with; ``n_tokens`` without the special tokens."""

    id: str
    text: str
    n_tokens: int


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    n_tokens: int


@dataclass(frozen=True)
class _Lengths:
    """Log-normal lengths in tokens."""

    median: float
    spread: float

    def block(self, random: Random) -> list[int]:
        """Return the lengths of ``_BLOCK`` documents, in an order of their own."""
        normal = NormalDist(log(self.median), self.spread)
        lengths = [round(exp(normal.inv_cdf((at + 0.5) / _BLOCK))) for at in range(_BLOCK)]
        random.shuffle(lengths)
        return [min(max(length, _MIN_TOKENS), MAX_TOKENS) for length in lengths]


_MIXED = _Lengths(median=78, spread=0.795)
"""Mean about 107, 95 of 100 below about 288."""
_TICKETS = _Lengths(median=18, spread=0.45)


def mixed(n: int, *, seed: int) -> list[BenchDocument]:
    """Return ``n`` letters about renting, tickets and notices: 8 to 500 tokens, mean about 107."""
    return _documents(n, seed=seed, sentences=_sentences("leases", "tickets", "notices"), lengths=_MIXED, prefix="doc")


def tickets(n: int, *, seed: int) -> list[BenchDocument]:
    """Return ``n`` short support tickets, mean about 20 tokens."""
    return _documents(n, seed=seed, sentences=_sentences("tickets"), lengths=_TICKETS, prefix="ticket")


def _documents(
    n: int, *, seed: int, sentences: Sequence[_Sentence], lengths: _Lengths, prefix: str
) -> list[BenchDocument]:
    random = Random(seed)  # noqa: S311 -- has to give the same documents again
    by_length = sorted(sentences, key=lambda sentence: sentence.n_tokens)
    seen: set[str] = set()
    texts: list[str] = []
    while len(texts) < n:
        texts += [_unseen(by_length, length, seen, random) for length in lengths.block(random)]
    return [
        _document(f"{prefix}-{seed}-{number:06d}", text, tokens)
        for number, (text, tokens) in enumerate(zip(texts[:n], _tokenizer().encode(texts[:n]), strict=True))
    ]


def _document(document_id: str, text: str, tokens: Tokens) -> BenchDocument:
    """Cut off what is too long: other numbers may have other tokens."""
    if len(tokens) <= MAX_TOKENS:
        return BenchDocument(document_id, text, len(tokens))
    return BenchDocument(document_id, text[: int(tokens.ends[MAX_TOKENS - 1])], MAX_TOKENS)


def _unseen(by_length: Sequence[_Sentence], length: int, seen: set[str], random: Random) -> str:
    """Return a text that was not returned before; after many vain tries, one with a number of its own."""
    for _ in range(_TRIES):
        text = _renumbered(_composed(by_length, length, random), random)
        if text not in seen:
            break
    else:
        text = f"{text} No. {len(seen)}."
    seen.add(text)
    return text


def _composed(by_length: Sequence[_Sentence], length: int, random: Random) -> str:
    """Join sentences until ``length`` is reached nearly; the last one is chosen to fit what is left."""
    parts: list[_Sentence] = []
    left = length
    while fitting := _how_many(by_length, left):
        least = _how_many(by_length, left - _SLACK) if left <= _LAST_SENTENCE else 0
        part = by_length[random.randrange(min(least, fitting - 1), fitting)]
        parts.append(part)
        left -= part.n_tokens
    return " ".join(part.text for part in parts or by_length[:1])


def _how_many(by_length: Sequence[_Sentence], n_tokens: int) -> int:
    return bisect_right(by_length, n_tokens, key=lambda sentence: sentence.n_tokens)


def _renumbered(text: str, random: Random) -> str:
    """Return the text with other numbers of as many digits; what looks like a year stays in its century."""

    def other(found: re.Match[str]) -> str:
        number = found[0]
        century = _CENTURY.match(number)
        first = century[0] if century else str(random.randrange(1, 10))
        return first + "".join(str(random.randrange(10)) for _ in number[len(first) :])

    return _NUMBER.sub(other, text)


@cache
def _sentences(*names: str) -> tuple[_Sentence, ...]:
    texts = sorted({sentence for name in names for text in _texts(name) for sentence in _split(text)})
    tokens = _tokenizer().encode(texts)
    return tuple(
        _Sentence(text, len(of_text))
        for text, of_text in zip(texts, tokens, strict=True)
        if _SHORTEST_SENTENCE <= len(of_text) <= _LONGEST_SENTENCE
    )


def _texts(name: str) -> list[str]:
    labelled = [path.read_text("utf-8") for path in sorted((DATA / name / "documents").glob("*.txt"))]
    sample = next(each for each in SAMPLES if each.name == name)
    return [*labelled, *(document["text"] for document in sample.stream)]


def _split(text: str) -> list[str]:
    """Return the sentences that are plain ASCII: on others, tokenizers differ in what a word is."""
    plain = text.translate(_PLAIN)
    parts = (" ".join(part.split()) for part in _SENTENCE_END.split(plain))
    return [part for part in parts if part and part.isascii()]


@cache
def _tokenizer() -> Tokenizer:
    return Tokenizer.from_file(find_encoder().tokenizer)
