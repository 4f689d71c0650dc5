"""Whether the answers are right: every document answered once, with the spans that FP32 finds. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Span = tuple[str, int, int]
"""Category, offset and length, in code points."""


@dataclass(frozen=True)
class Answer:
    """What a subject said about a document."""

    id: str
    spans: frozenset[Span]


@dataclass(frozen=True)
class Verdict:
    """How many documents were answered, rightly, not at all, and once too often."""

    n_answered: int
    n_right: int
    n_lost: int
    n_duplicated: int


def judge(answers: Iterable[Answer], expected: Mapping[str, frozenset[Span]]) -> Verdict:
    """Compare answers with what is expected of each document; other documents' answers do not count."""
    counted = [answer for answer in answers if answer.id in expected]
    times = Counter(answer.id for answer in counted)
    wrong = {answer.id for answer in counted if answer.spans != expected[answer.id]}
    return Verdict(
        n_answered=len(times),
        n_right=len(times.keys() - wrong),
        n_lost=len(expected) - len(times),
        n_duplicated=times.total() - len(times),
    )
