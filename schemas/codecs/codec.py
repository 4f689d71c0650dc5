"""Document events and enriched documents, to bytes and back."""

from typing import Any, Literal

from pydantic import ValidationError

from schemas.codecs.avro import AvroReader, AvroWriter, is_avro
from schemas.codecs.json import decode_object, encode_object, type_name
from schemas.codecs.schema_ids import LocalSchemaIds, SchemaIds
from schemas.codecs.validation import explain
from schemas.documents import DocumentEvent
from schemas.enriched import ENRICHED, EnrichedDocument
from schemas.errors import DecodeError, EncodeError, InvalidEvent

Format = Literal["json", "avro"]

MAX_METADATA_LEVELS = 200
"""How deep metadata may be nested. What is deeper could be read but not written again."""
MAX_METADATA_VALUES = 100_000
"""How many values metadata may hold: an empty list is two bytes, but takes some seventy in memory."""


class _Reader:
    """Reads JSON or Avro, whichever the first byte says."""

    def __init__(self, schemas: SchemaIds, name: str) -> None:
        self._avro = AvroReader(schemas, name)

    def read(self, value: bytes | None) -> dict[str, Any]:
        if not value:
            raise DecodeError(f"expected JSON or Avro, got {'a null value' if value is None else 'no bytes'}")
        if not is_avro(value):
            found = decode_object(value)
        else:
            found = self._avro.read(value)
            found["metadata"] = _metadata(found["metadata"])
        # Every level needs its bracket and every value but the first its comma, so counting them (at memory speed)
        # spares nearly every event the walk.
        if value.count(b"{") + value.count(b"[") > MAX_METADATA_LEVELS or value.count(b",") >= MAX_METADATA_VALUES:
            _check_metadata(found.get("metadata"))
        return found


class DocumentCodec:
    """Document events to bytes and back.

    Args:
        schemas: The Avro schemas there are; default: those of our own file.
        format: What ``encode`` writes. ``decode`` reads both.
    """

    def __init__(self, schemas: SchemaIds | None = None, *, format: Format = "json") -> None:  # noqa: A002 - the term
        schemas = schemas or LocalSchemaIds()
        self._reader = _Reader(schemas, "document_event")
        self._writer = AvroWriter(schemas, "document_event") if format == "avro" else None

    def decode(self, value: bytes | None) -> DocumentEvent:
        """Return the event that ``value`` holds: Avro if it begins with a zero byte, JSON otherwise.

        The text comes out as it is: control characters, NUL and directional marks are the publisher's.

        Raises:
            DecodeError: If ``value`` is neither (stage ``decode``).
            UnknownSchema: If nobody knows its schema (stage ``decode``).
            InvalidEvent: If fields are missing or wrong (stage ``validate``).
            Unavailable: If the schema registry does not answer; to be tried again.
        """
        try:
            return DocumentEvent.model_validate(self._reader.read(value))
        except ValidationError as error:
            # NOTE: the cause shows the values, so it does not go along into a log.
            raise InvalidEvent(explain(error)) from None

    def encode(self, event: DocumentEvent) -> bytes:
        """Return ``event`` as bytes.

        Raises:
            EncodeError: If it cannot be written, such as text with half of a surrogate pair.
        """
        payload = event.payload()
        if self._writer is None:
            return encode_object(payload)
        return self._writer.write(payload | {"metadata": encode_object(event.metadata).decode()})


class EnrichedCodec:
    """Enriched documents to bytes and back.

    Args:
        format: What ``encode`` writes. ``decode`` reads both.
        schemas: The Avro schemas there are; default: those of our own file.
    """

    def __init__(self, format: Format = "json", *, schemas: SchemaIds | None = None) -> None:  # noqa: A002 - the term
        schemas = schemas or LocalSchemaIds()
        self._reader = _Reader(schemas, "enriched_document")
        self._writer = AvroWriter(schemas, "enriched_document") if format == "avro" else None

    def encode(self, document: EnrichedDocument) -> bytes:
        """Return ``document`` as bytes.

        Raises:
            EncodeError: If it cannot be written, or a confidence is not between 0 and 1.
        """
        _check_confidences(document)
        if self._writer is None:
            return encode_object(document)
        return self._writer.write(_avro_record(document))

    def decode(self, value: bytes | None) -> EnrichedDocument:
        """Return the document that ``value`` holds. Fields of a newer writer are left out.

        Raises:
            DecodeError: If ``value`` is neither JSON nor Avro.
            UnknownSchema: If nobody knows its schema.
            InvalidEvent: If fields are missing or wrong.
            Unavailable: If the schema registry does not answer.
        """
        found = self._reader.read(value)
        if is_avro(value or b""):
            _drop_nulls(found)
        try:
            return ENRICHED.validate_python(found, extra="ignore")
        except ValidationError as error:
            raise InvalidEvent(explain(error)) from None


def _metadata(text: str) -> dict[str, Any]:
    try:
        return decode_object(text.encode())
    except DecodeError as error:
        raise InvalidEvent(f"metadata: {error}") from None


def _check_metadata(value: object) -> None:
    level, n_values = [value], 0
    for _ in range(MAX_METADATA_LEVELS + 1):
        level = [child for item in level for child in _children(item)]
        n_values += len(level)
        if n_values > MAX_METADATA_VALUES:
            raise InvalidEvent(
                f"metadata: expected at most {MAX_METADATA_VALUES} values, got {type_name(value)} with more"
            )
        if not level:
            return
    raise InvalidEvent(f"metadata: expected at most {MAX_METADATA_LEVELS} levels, got {type_name(value)} with more")


def _children(item: object) -> list[object]:
    match item:
        case dict():
            return list(item.values())
        case list():
            return item
    return []


def _check_confidences(document: EnrichedDocument) -> None:
    # A NaN would become null in JSON without a word.
    for result in document["results"]:
        for scored in result.get("entities") or result.get("classes") or ():
            if not 0 <= scored["confidenceScore"] <= 1:
                task = f"{result['project']}/{result['deployment']}"
                raise EncodeError(f"{task}: expected a confidence between 0 and 1, got {scored['confidenceScore']}")


def _avro_record(document: EnrichedDocument) -> dict[str, Any]:
    results = [
        # A union's branch that is named does not have to be found by trying.
        result | {name: ("array", result[name]) for name in ("entities", "classes") if name in result}
        for result in document["results"]
    ]
    return {**document, "metadata": encode_object(document["metadata"]).decode(), "results": results}


def _drop_nulls(record: dict[str, Any]) -> None:
    if record["text"] is None:
        del record["text"]
    for result in record["results"]:
        for name in ("entities", "classes"):
            if result[name] is None:
                del result[name]
