"""What answers are judged by: held-out documents with their labels, and what FP32 said of them."""

from collections.abc import Iterable, Sequence
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from models.engine.readers import Prediction
from models.evaluation.counts import count_classes, count_entities, score
from models.evaluation.guidance import label_counts
from models.manifest import Manifest
from models.training.answers import class_document, entity_document
from models.tuning.choose import Quality, is_telling
from schemas.base import Message
from schemas.errors import ArtefactCorrupt
from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind

MOST_DOCUMENTS: Final = 200
MOST_CHARS: Final = 60_000


class Example(Message):
    """A document, what the model's FP32 form answered, and whether the model was trained on it.

    A model is often trained once more with the documents that chose its thresholds. Its score on them says nothing
    then, but that another backend gives the same answers still does.
    """

    document: LabelledDocument
    answer: Prediction
    seen: bool = False


_EXAMPLE: Final = TypeAdapter(Example)
Examples = Sequence[Example]


def sample_of(documents: Iterable[LabelledDocument]) -> list[LabelledDocument]:
    """Return the first documents that are enough to judge by; the shortest where each alone is too long."""
    chosen: list[LabelledDocument] = []
    too_long: list[LabelledDocument] = []
    n_chars = 0
    for document in documents:
        if n_chars + len(document.text) > MOST_CHARS:
            too_long.append(document)
        elif len(chosen) < MOST_DOCUMENTS:
            chosen.append(document)
            n_chars += len(document.text)
    return chosen or sorted(too_long, key=lambda document: len(document.text))[:1]


def examples_of(
    documents: Sequence[LabelledDocument], answers: Sequence[Prediction], *, seen: bool = False
) -> list[Example]:
    """Return documents together with what FP32 answered."""
    pairs = zip(documents, answers, strict=True)
    return [Example(document=document, answer=answer, seen=seen) for document, answer in pairs]


def dump_examples(examples: Examples) -> bytes:
    """Return the bytes of a tuning set: JSON lines."""
    return b"\n".join(orjson.dumps(example.payload()) for example in examples)


def load_examples(data: bytes) -> list[Example]:
    """Read what ``dump_examples`` wrote.

    Raises:
        ArtefactCorrupt: It is something else.
    """
    try:
        return [_EXAMPLE.validate_python(orjson.loads(line)) for line in data.splitlines() if line]
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise ArtefactCorrupt(f"got a tuning set that cannot be read ({error}), expected JSON lines") from error


def n_labels(examples: Examples) -> int:
    """Return how many labels the examples have."""
    return sum(label_counts(example.document).total() for example in examples)


def quality_of(manifest: Manifest, examples: Examples, answers: Sequence[Prediction]) -> Quality:
    """Return how good ``answers`` are. There may be fewer of them than examples, but not more."""
    asked = examples[: len(answers)]
    documents = [example.document for example in asked]
    expected = [example.answer for example in asked]
    return Quality(
        score=_micro_f1(manifest, documents, answers),
        reference=_micro_f1(manifest, documents, expected),
        agreement=_agreement(manifest, documents, expected, answers),
        n_labels=n_labels([example for example in asked if not example.seen]),
        telling=is_telling(n_findings=_n_findings(expected), complete=len(asked) == len(examples)),
    )


def _n_findings(answers: Iterable[Prediction]) -> int:
    return sum(len(answer.get("entities", [])) + len(answer.get("classes", [])) for answer in answers)


def _agreement(
    manifest: Manifest,
    documents: Sequence[LabelledDocument],
    expected: Sequence[Prediction],
    answers: Sequence[Prediction],
) -> float:
    """As if what FP32 answered had been labelled. If neither says anything at all, they agree."""
    if not _n_findings((*expected, *answers)):
        return 1.0
    pairs = zip(documents, expected, strict=True)
    return _micro_f1(manifest, [_as_label(document, answer) for document, answer in pairs], answers)


def _as_label(document: LabelledDocument, answer: Prediction) -> LabelledDocument:
    labels = [
        EntityLabel(category=each["category"], offset=each["offset"], length=each["length"])
        for each in answer.get("entities", [])
    ]
    region = Region(offset=0, length=len(document.text), labels=labels)
    classes = [each["category"] for each in answer.get("classes", [])]
    return document.model_copy(update={"regions": [region] if "entities" in answer else [], "classes": classes})


def _micro_f1(manifest: Manifest, documents: Sequence[LabelledDocument], answers: Sequence[Prediction]) -> float:
    pairs = list(zip(documents, answers, strict=True))
    if manifest.kind is Kind.ENTITIES:
        entities = [entity_document(document, answer["entities"]) for document, answer in pairs]
        counts = count_entities(entities, manifest.categories)
    else:
        classes = [class_document(document, answer["classes"]) for document, answer in pairs]
        counts = count_classes(classes, manifest.categories)
    return round(float(score(counts.sum(axis=0)).micro[2]), 4)
