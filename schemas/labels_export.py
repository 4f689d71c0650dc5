"""A project's labels as Azure's labels file: the way back of ``schemas.labels_file``."""

from collections.abc import Iterable
from typing import Any

from schemas.labels import EntityLabel, LabelledDocument, Region
from schemas.names import Kind, StringIndexType
from schemas.records import ProjectRecord
from schemas.text_index import Span, convert_spans

FILE_VERSION = "2022-05-01"


def labels_file(project: ProjectRecord, documents: Iterable[LabelledDocument]) -> dict[str, Any]:
    """Return ``project`` and its ``documents`` as a labels file: the same JSON that was imported.

    What the project does not keep comes in its usual form: the names of kinds in their usual case, an empty list for
    a document without labels, ``projectFileVersion`` 2022-05-01.
    """
    threshold = project.confidence_threshold
    name = "entities" if project.kind is Kind.ENTITIES else "classes"
    ordered = sorted(documents, key=lambda document: (document.position, document.id))
    return {
        "projectFileVersion": FILE_VERSION,
        "stringIndexType": StringIndexType.UTF16.value,
        "metadata": {
            "projectKind": project.kind.value,
            "storageInputContainerName": project.storage_container,
            "projectName": project.name,
            "multilingual": project.multilingual,
            "description": project.description,
            "language": project.language,
            "settings": {} if threshold is None else {"confidenceThreshold": threshold},
        },
        "assets": {
            "projectKind": project.kind.value,
            name: [{"category": category} for category in project.categories],
            "documents": [_file_document(project.kind, document) for document in ordered],
        },
    }


def _file_document(kind: Kind, document: LabelledDocument) -> dict[str, Any]:
    given = {"location": document.id, "language": document.language, "dataset": document.dataset}
    entry: dict[str, Any] = {name: str(value) for name, value in given.items() if value is not None}
    classes = [{"category": category} for category in document.classes]
    match kind:
        case Kind.ENTITIES:
            return entry | {"entities": _file_regions(document)}
        case Kind.SINGLE_LABEL:
            return entry | ({"class": classes[0]} if classes else {})
        case Kind.MULTI_LABEL:
            return entry | {"classes": classes}


def _file_regions(document: LabelledDocument) -> list[dict[str, Any]]:
    spans = [(region.offset, region.length) for region in document.regions]
    spans += [(label.offset, label.length) for region in document.regions for label in region.labels]
    converted = convert_spans(document.text, spans, source=StringIndexType.CODE_POINT, target=StringIndexType.UTF16)
    in_utf16 = dict(zip(spans, converted, strict=True))
    return [_file_region(region, in_utf16) for region in document.regions]


def _file_region(region: Region, in_utf16: dict[Span, Span]) -> dict[str, Any]:
    start, size = in_utf16[region.offset, region.length]
    return {
        "regionOffset": start,
        "regionLength": size,
        "labels": [_file_label(label, in_utf16) for label in region.labels],
    }


def _file_label(label: EntityLabel, in_utf16: dict[Span, Span]) -> dict[str, Any]:
    start, size = in_utf16[label.offset, label.length]
    return {"category": label.category, "offset": start, "length": size}
