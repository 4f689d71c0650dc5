"""What an evaluation is made from: documents with what was expected of them and what was predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.labels import LabelledDocument


@dataclass(frozen=True)
class Span:
    """A labelled or predicted span, half-open, in code points from the document's start."""

    category: str
    start: int
    end: int
    confidence: float = 1.0

    @property
    def key(self) -> tuple[str, int, int]:
        """What has to be equal for an exact match."""
        return (self.category, self.start, self.end)


@dataclass(frozen=True)
class EntityDocument:
    """A test document of an entity project. Only what lies in ``regions`` was labelled, so only that counts."""

    id: str
    text: str
    regions: tuple[tuple[int, int], ...]
    expected: tuple[Span, ...]
    predicted: tuple[Span, ...]
    language: str | None = None

    @property
    def judged(self) -> tuple[Span, ...]:
        """The predictions that touch a region; about the others nothing is known."""
        return tuple(
            span for span in self.predicted if any(span.start < end and start < span.end for start, end in self.regions)
        )


@dataclass(frozen=True)
class ClassDocument:
    """A test document of a classification project. ``predicted`` maps each predicted class to its confidence."""

    id: str
    expected: tuple[str, ...]
    predicted: Mapping[str, float]
    language: str | None = None


@dataclass(frozen=True)
class TrainingFacts:
    """What an evaluation tells about the training beside the scores."""

    train: tuple[LabelledDocument, ...]
    test: tuple[LabelledDocument, ...]
    split: str = "percentage"
    training_split_percentage: int | None = 80
    backend: str = ""
    duration_s: float = 0.0
    seed: int = 0
    notes: tuple[str, ...] = field(default=())
