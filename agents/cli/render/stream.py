"""One record of any of our topics, for people and for machines."""

import base64
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import RenderableType
from rich.text import Text

from agents.batches import why_unreadable
from agents.cli.codecs import enriched_codec
from agents.cli.render.dead_letters import letter_lines
from agents.cli.render.documents import document_panel, document_plain
from agents.cli.render.events import event_line
from agents.cli.render.text import safe, shorten
from agents.cli.theme import Palette
from schemas.dead_letters import PREFIX
from schemas.errors import EventError

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from agents.settings import Settings

_RAW_CHARS = 400


class RecordView:
    """Shows records; remembers the colours it has given."""

    def __init__(self, settings: "Settings", *, plain: bool) -> None:
        self._codec = enriched_codec(settings)
        self._events = settings.topics.control_events
        self._plain = plain
        self._palette = Palette()

    def show(self, record: "ConsumerRecord") -> RenderableType:
        """Return what people see: a document, a dead letter, a control event, or the bytes of anything else."""
        if why := why_unreadable(record):
            return Text(f"{place(record)}  {why}")
        if is_dead_letter(record):
            return letter_lines(record)
        if record.topic == self._events:
            return self._event(record)
        try:
            document = self._codec.decode(record.value)
        except EventError:
            return Text(f"{place(record)}  {shorten(safe(as_text(record.value)), _RAW_CHARS)}")
        draw = document_plain if self._plain else document_panel
        return draw(document, colours=self._palette.colour)

    def raw(self, record: "ConsumerRecord") -> Any:
        """Return what machines get: the value as it is, or a description of a dead letter or what cannot be read."""
        if is_dead_letter(record) or why_unreadable(record):
            return describe_record(record)
        try:
            return orjson.loads(record.value or b"null")
        except orjson.JSONDecodeError:
            pass
        try:
            return self._codec.decode(record.value)
        except EventError:
            return describe_record(record)

    def _event(self, record: "ConsumerRecord") -> RenderableType:
        from agents.client import read_event

        event = read_event(record)
        return Text(place(record)) if event is None else event_line(event)


def is_dead_letter(record: "ConsumerRecord") -> bool:
    """Return whether the record has the headers of a dead letter."""
    return any(name.startswith(PREFIX) for name, _ in record.headers)


def place(record: "ConsumerRecord") -> str:
    """Return where a record stands."""
    return f"{record.topic}/{record.partition}@{record.offset}"


def as_text(value: bytes | None) -> str:
    """Return bytes as text, with a mark for what is none."""
    return "(null)" if value is None else value.decode("utf-8", "replace")


def describe_record(record: "ConsumerRecord") -> dict[str, Any]:
    """Return a record as JSON: bytes that are no text in base64, and why it comes without content if it does."""
    why = why_unreadable(record)
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestampMs": record.timestamp,
        "key": _bytes(record.key),
        "value": _bytes(record.value),
        "headers": [[name, _bytes(value)] for name, value in record.headers],
        **({"unreadable": str(why)} if why else {}),
    }


def _bytes(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
