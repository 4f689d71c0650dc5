"""Schema ids from a Confluent Schema Registry, over its REST interface.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from schemas.codecs.schema_ids import OWN_SCHEMAS, Schema, parsed
from schemas.errors import Fatal, Unavailable, UnknownSchema

_FORGET_S = 60.0
_MAX_UNKNOWN = 1000
_NOT_FOUND = 404
_TOO_MANY = 429


class RegistrySchemaIds:
    """Asks the registry once for each id and remembers the answer; that an id is unknown only for a minute.

    Blocks while it asks. With the defaults a silent registry is given up after 5 seconds, which is below Kafka's
    session timeout. Our own schemas are registered under their record's full name (``lexstream.EnrichedDocument``).

    Args:
        url: Of the registry. A user and password in it are sent as basic authentication and are in no message.
        timeout_s: For each try.
        n_tries: How often an unreachable registry is asked.
        backoff_s: Pause before the second try; doubles for each further one.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 1.5,
        n_tries: int = 3,
        backoff_s: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        full = httpx.URL(url)
        self._place = str(full.copy_with(username=None, password=None)).rstrip("/")
        auth = httpx.BasicAuth(full.username, full.password) if full.userinfo else None
        self._client = httpx.Client(base_url=self._place, auth=auth, timeout=timeout_s, follow_redirects=False)
        self._retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_attempt(n_tries),
            wait=wait_exponential(multiplier=backoff_s),
            reraise=True,
        )
        self._clock = clock
        self._schemas: dict[int, Schema] = {}
        self._ids: dict[str, int] = {}
        self._unknown: dict[int, tuple[float, str]] = {}

    def schema_for(self, schema_id: int) -> Schema:
        """See ``SchemaIds``."""
        if (schema := self._schemas.get(schema_id)) is not None:
            return schema
        since, message = self._unknown.get(schema_id, (-_FORGET_S, ""))
        if self._clock() - since < _FORGET_S:
            raise UnknownSchema(message)
        try:
            schema = self._schemas[schema_id] = self._fetch(schema_id)
        except UnknownSchema as error:
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[schema_id] = (self._clock(), str(error))
            raise
        return schema

    def id_for(self, name: str) -> int:
        """See ``SchemaIds``. Registers the schema, which is harmless when it is there.

        Raises:
            Fatal: If the registry refuses the schema.
        """
        if name not in self._ids:
            text = (OWN_SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8")
            subject = str(parsed(text)["name"])
            answer = self._ask("POST", f"/subjects/{subject}/versions", {"schema": text})
            if answer.is_error:
                raise Fatal(f"schema registry at {self._place} refuses {subject}: {_reason(answer)}")
            self._ids[name] = int(_object(answer)["id"])
        return self._ids[name]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _fetch(self, schema_id: int) -> Schema:
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer.status_code == _NOT_FOUND:
            raise UnknownSchema(f"unknown schema id {schema_id}: the registry at {self._place} does not have it")
        if answer.is_error:
            raise Unavailable(f"schema registry at {self._place}: {_reason(answer)}")
        found = _object(answer)
        if (kind := found.get("schemaType", "AVRO")) != "AVRO":
            raise UnknownSchema(f"schema id {schema_id}: expected an AVRO schema, got {kind}")
        if found.get("references"):
            raise UnknownSchema(f"schema id {schema_id}: expected a schema without references to others")
        try:
            return parsed(found["schema"])
        except (KeyError, ValueError) as error:
            raise UnknownSchema(f"schema id {schema_id}: {error}") from error

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        return self._retrying(self._ask_once, method, path, body)

    def _ask_once(self, method: str, path: str, body: dict[str, str] | None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(f"schema registry at {self._place} does not answer: {type(error).__name__}") from error
        if answer.is_server_error or answer.status_code == _TOO_MANY or answer.is_redirect:
            raise Unavailable(f"schema registry at {self._place}: {_reason(answer)}")
        return answer


def _reason(answer: httpx.Response) -> str:
    try:
        message = str(_object(answer).get("message", ""))[:200]
    except Unavailable:
        message = ""
    return f"HTTP {answer.status_code} {message or answer.reason_phrase}"


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"schema registry: expected a JSON object, got HTTP {answer.status_code} with something else")
    return found
