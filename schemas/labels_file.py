"""Azure's labels file: what its authoring service exports and imports.

https://learn.microsoft.com/azure/ai-services/language-service/custom-named-entity-recognition/concepts/data-formats

Offsets in it count UTF-16 units from the start of the document, also within a region. Kinds are compared without
regard to case, as Microsoft's own files need it. The form of the preview of 2021 (``extractors``) is read too.
"""

from typing import Annotated, Any, TypeVar

import orjson
from pydantic import Field, ValidationError

from schemas.base import Message
from schemas.codecs.json import type_name
from schemas.codecs.validation import plain, sentences
from schemas.errors import InvalidLabels
from schemas.label_set import Envelope, LabelSet, RawDocument, RawLabel, RawRegion
from schemas.names import Kind, StringIndexType

_KINDS = {kind.value.casefold(): kind for kind in Kind}
_Integer = Annotated[int, Field(strict=True)]
_Read = TypeVar("_Read", bound=Message)


class _Label(Message):
    category: str
    offset: _Integer
    length: _Integer


class _Region(Message):
    region_offset: _Integer
    region_length: _Integer
    labels: list[_Label] = []


class _Category(Message):
    category: str


class _Document(Message):
    location: str
    language: str | None = None
    dataset: str | None = None
    entities: list[_Region] = []
    class_: Annotated[_Category | None, Field(alias="class")] = None
    classes: list[_Category] = []


class _Settings(Message):
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class _Metadata(Message):
    language: str
    project_kind: str | None = None
    storage_input_container_name: str = ""
    multilingual: bool = False
    description: str | None = None
    settings: _Settings | None = None


def parse_labels_file(value: bytes) -> LabelSet:
    """Return what the labels file ``value`` says; the texts are not in it (see ``LabelSet.with_texts``).

    Raises:
        InvalidLabels: If it is no such file at all. All lesser problems are in the label set.
    """
    try:
        found = orjson.loads(value.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InvalidLabels([f"expected a labels file in JSON: {error}"]) from error
    assets = found.get("assets") if isinstance(found, dict) else None
    if not isinstance(assets, dict) or not isinstance(found.get("metadata"), dict):
        raise InvalidLabels(["expected a labels file: an object with metadata and assets"])
    metadata = found["metadata"]
    if "extractors" in assets:
        metadata, assets = _from_preview(metadata, assets)
    return _label_set(found, metadata, assets)


def _label_set(found: dict[str, Any], metadata: dict[str, Any], assets: dict[str, Any]) -> LabelSet:
    problems: list[str] = []
    kind = _kind(metadata, assets, problems)
    unit = _unit(found.get("stringIndexType", StringIndexType.UTF16), problems)
    envelope = _read(_Metadata, metadata, place="metadata", problems=problems)
    name = "entities" if kind is Kind.ENTITIES or "entities" in assets else "classes"
    categories = _read_all(_Category, assets.get(name, []), place=name, problems=problems)
    documents = _read_all(_Document, assets.get("documents"), place="documents", problems=problems)
    return LabelSet(
        kind=kind,
        categories=tuple(category.category for _, category in categories),
        documents=tuple(_raw_document(place, document) for place, document in documents),
        unit=unit,
        envelope=_envelope(envelope) if envelope else None,
        problems=tuple(problems),
        n_unreadable=_length(assets.get("documents")) - len(documents),
    )


def _kind(metadata: dict[str, Any], assets: dict[str, Any], problems: list[str]) -> Kind | None:
    given = [str(part["projectKind"]) for part in (metadata, assets) if "projectKind" in part]
    kinds = {_KINDS.get(name.casefold()) for name in given}
    if len(kinds) == 1 and None not in kinds:
        return kinds.pop()
    got = " and ".join(plain(name[:50]) for name in given) or "nothing"
    problems.append(f"projectKind: expected one of {', '.join(Kind)} in metadata and assets alike, got {got}")
    return None


def _unit(given: object, problems: list[str]) -> StringIndexType:
    if isinstance(given, str) and given in set(StringIndexType):
        return StringIndexType(given)
    got = plain(given[:50]) if isinstance(given, str) else type_name(given)
    problems.append(f"stringIndexType: expected {StringIndexType.UTF16}, got {got}")
    return StringIndexType.UTF16


def _read(model: type[_Read], value: object, *, place: str, problems: list[str]) -> _Read | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems += sentences(error, within=place)
    return None


def _read_all(model: type[_Read], values: object, *, place: str, problems: list[str]) -> list[tuple[str, _Read]]:
    if not isinstance(values, list):
        problems.append(f"{place}: expected a list, got {type_name(values) if values is not None else 'nothing'}")
        return []
    places = [f"{place}[{i}]" for i in range(len(values))]
    pairs = [(at, _read(model, value, place=at, problems=problems)) for at, value in zip(places, values, strict=True)]
    return [(at, item) for at, item in pairs if item is not None]


def _length(values: object) -> int:
    return len(values) if isinstance(values, list) else 0


def _envelope(metadata: _Metadata) -> Envelope:
    return Envelope(
        language=metadata.language,
        multilingual=metadata.multilingual,
        description=metadata.description or "",
        confidence_threshold=metadata.settings.confidence_threshold if metadata.settings else None,
        storage_container=metadata.storage_input_container_name,
    )


def _raw_document(place: str, document: _Document) -> RawDocument:
    regions = tuple(
        RawRegion(
            region.region_offset,
            region.region_length,
            tuple(RawLabel(label.category, label.offset, label.length) for label in region.labels),
        )
        for region in document.entities
    )
    classes = ([document.class_] if document.class_ else []) + document.classes
    return RawDocument(
        place=place,
        id=document.location,
        language=document.language,
        dataset=document.dataset,
        regions=regions,
        classes=tuple(named.category for named in classes),
    )


def _from_preview(metadata: dict[str, Any], assets: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    kinds = {"extraction": Kind.ENTITIES.value}
    model_type = str(metadata.get("modelType", "Extraction"))
    newer = {
        "projectKind": kinds.get(model_type.casefold(), model_type),
        "multilingual": metadata.get("multiLingual", False),
    }
    documents = assets.get("documents")
    return metadata | newer, {
        "entities": [_renamed(item, name="category") for item in _dicts(assets["extractors"])],
        "documents": [_newer_document(item) for item in documents] if isinstance(documents, list) else documents,
    }


def _newer_document(document: object) -> object:
    if not isinstance(document, dict):
        return document
    regions = [
        region | {"labels": [_renamed(label, extractorName="category") for label in _dicts(region.get("labels"))]}
        for region in _dicts(document.get("extractors"))
    ]
    return document | {"entities": regions}


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _renamed(value: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): item for name, item in value.items()}
