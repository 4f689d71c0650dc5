"""What stands in the way of a training: all of it at once, so that a person mends it once."""

from collections import Counter
from collections.abc import Iterator, Sequence

from models.training.job import TrainingJob
from schemas.labels import Dataset, LabelledDocument
from schemas.names import Kind

MIN_DOCUMENTS = 10


def is_labelled(document: LabelledDocument) -> bool:
    """Whether a document takes part in training: a region without entities does, no region at all does not."""
    return bool(document.regions or document.classes)


def categories_of(document: LabelledDocument) -> frozenset[str]:
    """Return the categories that occur in a document."""
    spans = (label.category for region in document.regions for label in region.labels)
    return frozenset([*spans, *document.classes])


def find_problems(job: TrainingJob, documents: Sequence[LabelledDocument]) -> list[str]:
    """Return everything that makes training impossible; an empty list means go."""
    labelled = [document for document in documents if is_labelled(document)]
    return [
        *_number_problems(job, labelled),
        *_category_problems(job, labelled),
        *_document_problems(job, labelled),
        *_split_problems(job, labelled),
    ]


def _number_problems(job: TrainingJob, labelled: Sequence[LabelledDocument]) -> Iterator[str]:
    if len(labelled) < MIN_DOCUMENTS:
        yield f"got {len(labelled)} labelled documents, expected at least {MIN_DOCUMENTS}"
    doubles = [name for name, count in Counter(document.id for document in labelled).items() if count > 1]
    if doubles:
        yield f"got documents more than once: {', '.join(doubles)}"
    if job.kind is Kind.SINGLE_LABEL and len(job.categories) == 1:
        yield "got one class, expected at least two to choose from"


def _category_problems(job: TrainingJob, labelled: Sequence[LabelledDocument]) -> Iterator[str]:
    if not job.categories:
        yield "got a project without categories, expected at least one"
    used = frozenset().union(*(categories_of(document) for document in labelled))
    for category in job.categories:
        if category not in used:
            yield f"category {category}: got no label, expected at least one"
    for category in sorted(used - set(job.categories)):
        yield f"category {category}: is labelled, but is none of the project's categories"


def _document_problems(job: TrainingJob, labelled: Sequence[LabelledDocument]) -> Iterator[str]:
    for document in labelled:
        if job.kind is Kind.ENTITIES:
            yield from _region_problems(document)
        elif job.kind is Kind.SINGLE_LABEL and len(document.classes) != 1:
            yield f"document {document.id}: got {len(document.classes)} classes, expected exactly one"
        elif not document.classes:
            yield f"document {document.id}: got no class, expected at least one"


def _region_problems(document: LabelledDocument) -> Iterator[str]:
    for region in document.regions:
        if region.offset + region.length > len(document.text):
            yield f"document {document.id}: got a region that ends beyond the text"
        for label in region.labels:
            if label.offset < region.offset or label.offset + label.length > region.offset + region.length:
                yield f"document {document.id}: got a label of {label.category} at {label.offset} outside its region"


def _split_problems(job: TrainingJob, labelled: Sequence[LabelledDocument]) -> Iterator[str]:
    if job.train is None or job.train.split != "manual":
        return
    for dataset in Dataset:
        if not any(document.dataset is dataset for document in labelled):
            yield f"got a manual split without a {dataset.value} document, expected at least one"
