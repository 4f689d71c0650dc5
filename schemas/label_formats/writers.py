"""Labels for other tools: JSON lines and CoNLL, offsets in code points."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from schemas.label_formats.conll import DOCUMENT_START
from schemas.labels import EntityLabel, LabelledDocument
from schemas.names import Kind

_TOKEN = re.compile(r"\w+|[^\w\s]")


def write_jsonl(documents: Iterable[LabelledDocument], *, kind: Kind) -> Iterator[str]:
    """Yield a line for each of ``documents``, as ``read_jsonl`` reads them."""
    for document in documents:
        line: dict[str, Any] = {"id": document.id, "text": document.text}
        if document.language:
            line["language"] = document.language
        if document.dataset:
            line["dataset"] = document.dataset.value
        yield orjson.dumps(line | _labels(document, kind)).decode() + "\n"


def _labels(document: LabelledDocument, kind: Kind) -> dict[str, Any]:
    match kind:
        case Kind.ENTITIES if document.regions:
            return {"entities": [[one.offset, one.offset + one.length, one.category] for one in _entities(document)]}
        case Kind.SINGLE_LABEL if document.classes:
            return {"label": document.classes[0]}
        case Kind.MULTI_LABEL:
            return {"labels": document.classes}
    return {}


def write_conll(documents: Iterable[LabelledDocument]) -> Iterator[str]:
    """Yield lines of words and BIO tags; a line end in the text ends a sentence.

    CoNLL keeps words, not characters: white space is lost, and a word counts as an entity's where they overlap.
    """
    for document in documents:
        yield f"{DOCUMENT_START}\tO\n\n"
        entities = _entities(document)
        begun: EntityLabel | None = None
        end = 0
        for token in _TOKEN.finditer(document.text):
            if "\n" in document.text[end : token.start()]:
                yield "\n"
                begun = None
            end = token.end()
            inside = next(
                (one for one in entities if one.offset < end and token.start() < one.offset + one.length), None
            )
            tag = "O" if inside is None else f"{'I' if inside is begun else 'B'}-{inside.category}"
            begun = inside
            yield f"{token.group()}\t{tag}\n"
        yield "\n"


def _entities(document: LabelledDocument) -> list[EntityLabel]:
    labels = (label for region in document.regions for label in region.labels)
    return sorted(labels, key=lambda label: label.offset)
