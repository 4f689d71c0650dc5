"""Everything that can be wrong with labels: one check for the command line, the controller and training.

A *problem* keeps labels from being imported; a *warning* is worth a look. Each says its place first.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from schemas.codecs.validation import sentences
from schemas.label_set import LabelSet, RawDocument, is_text, quoted
from schemas.labels import Dataset
from schemas.names import Category, Kind
from schemas.span_checks import span_problems, span_warnings

MIN_DOCUMENTS = 10
MAX_CATEGORIES = 200
MAX_ID_CHARS = 1024
MAX_DESCRIPTION_CHARS = 1000
MAX_LANGUAGE_CHARS = 35
LONG_TEXT_CHARS = 128_000

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_CATEGORY: TypeAdapter[str] = TypeAdapter(Category)


@dataclass(frozen=True, slots=True)
class Findings:
    """All problems and all warnings, in the file's order."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check_labels(labels: LabelSet, *, kind: Kind | None = None, min_documents: int = MIN_DOCUMENTS) -> Findings:
    """Return all that is wrong with ``labels``.

    Args:
        labels: With texts.
        kind: The project's; ``None`` takes the file's.
        min_documents: How many labelled documents there have to be.
    """
    kind = kind or labels.kind
    problems = [
        *labels.problems,
        *_wrong_kind(labels, kind),
        *_bad_envelope(labels),
        *_bad_categories(labels),
        *_bad_ids(labels.documents),
        *_too_few(labels, min_documents),
    ]
    warnings = list(_unused_categories(labels))
    known = frozenset(labels.categories)
    for document in labels.documents:
        problems += _bad_document(document)
        problems += _bad_classes(document, known, kind)
        problems += span_problems(document, labels.unit, known)
        warnings += _odd_text(document)
        warnings += span_warnings(document, labels.unit)
    return Findings(tuple(problems), tuple(warnings))


def _wrong_kind(labels: LabelSet, kind: Kind | None) -> Iterator[str]:
    if kind and labels.kind and labels.kind is not kind:
        yield f"projectKind: expected {kind}, as the project is, got {labels.kind}"


def _bad_envelope(labels: LabelSet) -> Iterator[str]:
    if labels.envelope is None:
        return
    if not _is_language(labels.envelope.language):
        yield f"metadata.language: {_no_language(labels.envelope.language)}"
    for name, text in (
        ("description", labels.envelope.description),
        ("storageInputContainerName", labels.envelope.storage_container),
    ):
        if len(text) > MAX_DESCRIPTION_CHARS:
            yield f"metadata.{name}: expected at most {MAX_DESCRIPTION_CHARS} characters, got {len(text)}"


def _bad_categories(labels: LabelSet) -> Iterator[str]:
    places: dict[str, str] | None = None
    if not labels.categories:
        yield "categories: expected at least one entity type or class, got none"
    if (n_given := len(labels.categories)) > MAX_CATEGORIES:
        yield f"categories: expected at most {MAX_CATEGORIES}, got {n_given}"
    for category, n_times in Counter(labels.categories).items():
        if n_times > 1:
            yield f"categories: expected each once, got {quoted(category)} {n_times} times"
        try:
            _CATEGORY.validate_python(category)
        except ValidationError as error:
            places = _first_places(labels.documents) if places is None else places
            where = f" (first at {places[category]})" if category in places else ""
            found = sentences(error, within=f"category {quoted(category)}{where}")
            yield from (f"{sentence}; rename it in the file" for sentence in found)


def _first_places(documents: Iterable[RawDocument]) -> dict[str, str]:
    places: dict[str, str] = {}
    for document in documents:
        labels = (label.category for region in document.regions for label in region.labels)
        for category in (*document.classes, *labels):
            places.setdefault(category, document.place)
    return places


def _bad_ids(documents: Iterable[RawDocument]) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for document in documents:
        places.setdefault(document.id, []).append(document.place)
        if not document.id or len(document.id) > MAX_ID_CHARS:
            yield f"{document.place}: expected a name of 1 to {MAX_ID_CHARS} characters, got {len(document.id)}"
    for name, found in places.items():
        if len(found) > 1:
            yield f"{', '.join(found[:5])}: expected each document once, got {quoted(name)} {len(found)} times"


def _too_few(labels: LabelSet, min_documents: int) -> Iterator[str]:
    n_labelled = sum(document.labelled for document in labels.documents)
    if n_labelled + labels.n_unreadable < min_documents:
        yield f"documents: expected at least {min_documents} with labels, got {n_labelled}"


def _bad_document(document: RawDocument) -> Iterator[str]:
    place = document.named()
    if document.text is None:
        yield f"{place}: expected a text, but there is no such document"
    elif not document.text.strip():
        yield f"{place}: expected some text, got a document without any"
    elif not is_text(document.text):
        yield f"{place}: expected text, got a lone surrogate"
    if document.language is not None and not _is_language(document.language):
        yield f"{place}: language: {_no_language(document.language)}"
    if document.dataset is not None and document.dataset not in set(Dataset):
        yield f"{place}: dataset: expected Train or Test, got {quoted(document.dataset)}"


def _bad_classes(document: RawDocument, known: frozenset[str], kind: Kind | None) -> Iterator[str]:
    place = document.named()
    if kind is Kind.ENTITIES and document.classes:
        yield f"{place}: expected entities, as the project is {kind}, got classes"
    if kind in {Kind.SINGLE_LABEL, Kind.MULTI_LABEL} and document.regions:
        yield f"{place}: expected classes, as the project is {kind}, got entities"
    if kind is Kind.SINGLE_LABEL and len(document.classes) > 1:
        yield f"{place}: expected one class, as the project is {kind}, got {len(document.classes)}"
    for category, n_times in Counter(document.classes).items():
        if category not in known:
            yield f"{place}: unknown class {quoted(category)}, expected one that is listed"
        if n_times > 1:
            yield f"{place}: expected each class once, got {quoted(category)} {n_times} times"


def _odd_text(document: RawDocument) -> Iterator[str]:
    if document.text and len(document.text) > LONG_TEXT_CHARS:
        yield f"{document.named()}: {len(document.text)} characters; Azure takes at most {LONG_TEXT_CHARS}"


def _unused_categories(labels: LabelSet) -> Iterator[str]:
    used = {category for document in labels.documents for category in document.classes}
    used |= {label.category for document in labels.documents for region in document.regions for label in region.labels}
    for category in dict.fromkeys(labels.categories):
        if category not in used:
            yield f"category {quoted(category)}: no document has it, so a model cannot learn it"


def _is_language(given: str) -> bool:
    return len(given) <= MAX_LANGUAGE_CHARS and bool(_LANGUAGE.fullmatch(given))


def _no_language(given: str) -> str:
    return f"expected a code such as en or en-us, got {quoted(given)}"
