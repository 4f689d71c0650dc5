"""Avro in Confluent's wire format: a zero byte, the schema's id in four bytes (big-endian), the record in binary.

https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

import struct
from io import BytesIO
from typing import Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import to_parsing_canonical_form

from schemas.codecs.schema_ids import Schema, SchemaIds, own_schema
from schemas.errors import DecodeError, EncodeError

MAGIC = 0
MAX_READS = 100_000
"""How many numbers and strings a large record may consist of: a list of a million empty ones takes seconds."""
_SMALL_BYTES = 64 * 1024
"""Smaller records cannot have as many."""
_HEADER = struct.Struct(">bI")


def is_avro(value: bytes) -> bool:
    """Whether ``value`` begins like Avro in Confluent's wire format. JSON never begins so."""
    return value[0] == MAGIC


class AvroReader:
    """Reads records that were written with any schema into the shape of one of ours."""

    def __init__(self, schemas: SchemaIds, name: str) -> None:
        self._schemas = schemas
        self._reader_schema = own_schema(name)
        self._own_form = to_parsing_canonical_form(self._reader_schema)
        self._resolutions: dict[int, tuple[Schema, Schema | None]] = {}

    def read(self, value: bytes) -> dict[str, Any]:
        """Return the record in ``value``.

        Raises:
            DecodeError: If the bytes are cut off, too many or no such record, or the schemas do not fit.
            UnknownSchema: If nobody knows the writer's schema.
            Unavailable: If the schema registry does not answer.
        """
        if len(value) < _HEADER.size:
            raise DecodeError(f"expected a zero byte and four bytes of schema id, got {len(value)} bytes")
        schema_id: int = _HEADER.unpack_from(value)[1]
        writer, reader = self._resolution(schema_id)
        stream = BytesIO(value) if len(value) <= _SMALL_BYTES else _BoundedReads(value)
        stream.seek(_HEADER.size)
        try:
            record = schemaless_reader(stream, writer, reader)
        except Exception as error:
            # NOTE: fastavro lets whatever happens inside escape (EOFError, IndexError, UnicodeDecodeError …), and its
            # messages may show values.
            raise DecodeError(self._advice(schema_id, writer, error)) from None
        if n_left := len(value) - stream.tell():
            raise DecodeError(f"{n_left} bytes left over after the Avro record (schema id {schema_id})")
        if not isinstance(record, dict):
            raise DecodeError(f"expected an Avro record (schema id {schema_id}), got {type(record).__name__}")
        return record

    def _resolution(self, schema_id: int) -> tuple[Schema, Schema | None]:
        if schema_id not in self._resolutions:
            writer = self._schemas.schema_for(schema_id)
            same = to_parsing_canonical_form(writer) == self._own_form
            self._resolutions[schema_id] = (writer, None if same else self._reader_schema)
        return self._resolutions[schema_id]

    def _advice(self, schema_id: int, writer: Schema, error: Exception) -> str:
        names = f"{writer['name']} (schema id {schema_id}) as {self._reader_schema['name']}"
        return f"cannot read Avro record {names}: {type(error).__name__}"


class _BoundedReads(BytesIO):
    """Bytes that can be read only so often."""

    _n_left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._n_left -= 1
        if self._n_left < 0:
            raise EOFError
        return super().read(size)


class AvroWriter:
    """Writes records with one of our schemas."""

    def __init__(self, schemas: SchemaIds, name: str) -> None:
        self._schema = own_schema(name)
        self._header = _HEADER.pack(MAGIC, schemas.id_for(name))

    def write(self, record: dict[str, Any]) -> bytes:
        """Return ``record`` in the wire format.

        Raises:
            EncodeError: If it does not fit the schema.
        """
        stream = BytesIO()
        stream.write(self._header)
        try:
            schemaless_writer(stream, self._schema, record)
        except Exception as error:
            # NOTE: as with the reader; messages show the value that does not fit.
            raise EncodeError(f"cannot write Avro record {self._schema['name']}: {type(error).__name__}") from None
        return stream.getvalue()
