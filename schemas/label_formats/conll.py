"""CoNLL: a token a line, its tag in the last column, a blank line after each sentence.

Tags may be IOB1, BIO (IOB2), BIOES or BILOU; one rule reads them all. The original white space is not in the file:
tokens are joined by a blank, sentences by a line feed. Where ``-DOCSTART-`` lines are, they part the documents; where
none is, every sentence is a document.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.label_formats.assembly import Assembly
from schemas.label_set import LabelSet, RawLabel

DOCUMENT_START = "-DOCSTART-"
_TAG = re.compile(r"([BIELSU])-(.+)")
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ELSU")
_MIN_COLUMNS = 2


@dataclass(frozen=True, slots=True)
class _Token:
    line: int
    word: str
    tag: str


def read_conll(content: str, *, name: str) -> LabelSet:
    """Return the documents in ``content``."""
    assembly = Assembly(name)
    for sentences in _documents(content, assembly.problems):
        text, labels = _text_and_labels(sentences)
        assembly.add(text, place=f"line {sentences[0][0].line}", entities=labels)
    return assembly.finished()


def _documents(content: str, problems: list[str]) -> Iterator[list[list[_Token]]]:
    has_starts = any(line.startswith(DOCUMENT_START) for line in content.splitlines())
    sentences: list[list[_Token]] = []
    sentence: list[_Token] = []
    for number, line in enumerate([*content.split("\n"), ""], start=1):
        starts = line.startswith(DOCUMENT_START)
        if line.strip() and not starts:
            if token := _token(number, line, problems):
                sentence.append(token)
            continue
        if sentence:
            sentences.append(sentence)
            sentence = []
        if sentences and (starts or not has_starts):
            yield sentences
            sentences = []
    if sentences:
        yield sentences


def _token(number: int, line: str, problems: list[str]) -> _Token | None:
    columns = line.rstrip("\r").split("\t") if "\t" in line else line.split()
    columns = [column.strip() for column in columns]
    if len(columns) < _MIN_COLUMNS or not columns[0]:
        problems.append(f"line {number}: expected a token and its tag, got {len(columns)} column(s)")
        return None
    word, tag = columns[0], columns[-1]
    if tag != "O" and not _TAG.fullmatch(tag):
        problems.append(f"line {number}: expected a tag such as O, B-Person or I-Person in the last column")
        return None
    return _Token(number, word, tag)


def _text_and_labels(sentences: list[list[_Token]]) -> tuple[str, list[RawLabel]]:
    pieces: list[str] = []
    labels: list[RawLabel] = []
    position = 0
    for sentence in sentences:
        before = ""
        for token in sentence:
            _extend(labels, token, before=before, at=position)
            before = token.tag
            pieces.append(token.word)
            position += len(token.word) + 1
            pieces.append(" ")
        pieces[-1] = "\n"
    return "".join(pieces[:-1]), labels


def _extend(labels: list[RawLabel], token: _Token, *, before: str, at: int) -> None:
    found = _TAG.fullmatch(token.tag)
    if not found:
        return
    prefix, category = found.groups()
    last = _TAG.fullmatch(before)
    goes_on = last and prefix not in _BEGINS and last[1] not in _ENDS and last[2] == category
    start = labels.pop().offset if goes_on else at
    labels.append(RawLabel(category, start, at + len(token.word) - start))
