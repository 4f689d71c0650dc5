"""The schema registry's client against a small HTTP server that speaks as Confluent's does."""

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from schemas.codecs.codec import DocumentCodec
from schemas.codecs.registry import RegistrySchemaIds
from schemas.codecs.schema_ids import OWN_SCHEMAS, own_schema, schema_ids
from schemas.documents import DocumentEvent
from schemas.errors import Fatal, Unavailable, UnknownSchema

OWN_TEXT = (OWN_SCHEMAS / "document_event.avsc").read_text()


@dataclass
class Registry:
    """What the server knows, and what it was asked."""

    schemas: dict[int, dict[str, Any]] = field(default_factory=dict)
    refusals: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    port: int = 0

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append(f"{method} {path}")
        if self.refusals:
            return self.refusals.pop(0)
        if method == "POST":
            self.schemas[100 + len(self.schemas)] = orjson.loads(body)
            return 200, orjson.dumps({"id": 99 + len(self.schemas)})
        found = self.schemas.get(int(path.rpartition("/")[2]))
        return (200, orjson.dumps(found)) if found else (404, b'{"error_code":40403,"message":"Schema not found"}')


@pytest.fixture
def registry() -> Iterator[Registry]:
    known = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.authorizations.append(self.headers["Authorization"])
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, content = known.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield known
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def ids(registry: Registry, clock: list[float]) -> Iterator[RegistrySchemaIds]:
    url = f"http://ann:s3cret%21@127.0.0.1:{registry.port}/"
    client = RegistrySchemaIds(url, backoff_s=0, clock=lambda: clock[0])
    yield client
    client.close()


def test_a_schema_is_asked_for_once(registry: Registry, ids: RegistrySchemaIds) -> None:
    registry.schemas[7] = {"schema": OWN_TEXT}
    assert ids.schema_for(7) == ids.schema_for(7) == own_schema("document_event")
    assert registry.asked == ["GET /schemas/ids/7"]


def test_own_schema_is_registered_once_under_its_full_name(registry: Registry, ids: RegistrySchemaIds) -> None:
    assert ids.id_for("document_event") == ids.id_for("document_event") == 100
    assert registry.asked == ["POST /subjects/lexstream.DocumentEvent/versions"]
    assert orjson.loads(registry.schemas[100]["schema"]) == orjson.loads(OWN_TEXT)


def test_what_is_written_with_the_registry_is_read_with_it(registry: Registry, ids: RegistrySchemaIds) -> None:
    event = DocumentEvent(id="1", text="some text")
    value = DocumentCodec(ids, format="avro").encode(event)
    assert value[:5] == b"\x00\x00\x00\x00\x64"
    assert DocumentCodec(ids).decode(value) == event


def test_user_and_password_of_the_url_are_sent(registry: Registry, ids: RegistrySchemaIds) -> None:
    registry.schemas[7] = {"schema": OWN_TEXT}
    ids.schema_for(7)
    assert registry.authorizations == ["Basic " + base64.b64encode(b"ann:s3cret!").decode()]


def test_an_unknown_id_is_asked_for_again_after_a_minute(
    registry: Registry, ids: RegistrySchemaIds, clock: list[float]
) -> None:
    for _ in range(3):
        with pytest.raises(UnknownSchema, match="unknown schema id 8"):
            ids.schema_for(8)
    assert len(registry.asked) == 1
    registry.schemas[8] = {"schema": OWN_TEXT}
    clock[0] += 61
    assert ids.schema_for(8) == own_schema("document_event")


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"schema": "{}", "schemaType": "PROTOBUF"}, "expected an AVRO schema, got PROTOBUF"),
        ({"schema": OWN_TEXT, "references": [{"name": "x"}]}, "without references"),
        ({"schema": "{"}, "schema id 7: expected an Avro schema"),
        ({"text": "?"}, "schema id 7: 'schema'"),
    ],
)
def test_a_schema_that_cannot_be_used_is_unknown(
    registry: Registry, ids: RegistrySchemaIds, schema: dict[str, Any], problem: str
) -> None:
    registry.schemas[7] = schema
    with pytest.raises(UnknownSchema, match=problem):
        ids.schema_for(7)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_registry_in_trouble_is_asked_again(registry: Registry, ids: RegistrySchemaIds, status: int) -> None:
    registry.schemas[7] = {"schema": OWN_TEXT}
    registry.refusals = [(status, b""), (status, b"not json")]
    assert ids.schema_for(7) == own_schema("document_event")
    assert len(registry.asked) == 3


@pytest.mark.parametrize("refusal", [(503, b"busy"), (401, b"{}"), (200, b"<html>")])
def test_no_usable_answer_is_to_be_tried_later(
    registry: Registry, ids: RegistrySchemaIds, refusal: tuple[int, bytes]
) -> None:
    registry.refusals = [refusal] * 3
    with pytest.raises(Unavailable) as caught:
        ids.schema_for(7)
    assert "s3cret" not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_an_unreachable_registry_is_to_be_tried_later_and_keeps_its_password_to_itself(registry: Registry) -> None:
    ids = RegistrySchemaIds("http://ann:s3cret@127.0.0.1:9", backoff_s=0, timeout_s=0.5)
    with pytest.raises(Unavailable, match=r"^schema registry at http://127\.0\.0\.1:9 does not answer: ConnectError$"):
        ids.id_for("document_event")
    ids.close()


def test_a_schema_that_the_registry_refuses_stops_the_process(registry: Registry, ids: RegistrySchemaIds) -> None:
    registry.refusals = [(409, b'{"error_code":409,"message":"incompatible with an earlier schema"}')]
    with pytest.raises(Fatal, match=r"refuses lexstream\.DocumentEvent: HTTP 409 incompatible"):
        ids.id_for("document_event")


def test_a_url_chooses_the_registry() -> None:
    ids = schema_ids("http://127.0.0.1:9")
    assert isinstance(ids, RegistrySchemaIds)
    ids.close()
