"""Records to items: what is refused before anybody reads it, and how much memory an event is taken for."""

from agents.hotloop.decode import Decoder
from schemas.codecs import DocumentCodec
from schemas.documents import DocumentEvent
from schemas.errors import OversizedEvent, UnreadableRecord
from tests.agents.records import record

DECODER = Decoder(DocumentCodec(), max_bytes=1000)


def test_headers_and_key_count_for_an_events_size() -> None:
    small = b'{"id": "x", "text": "y"}'
    assert isinstance(DECODER(record("t", value=small)).content, DocumentEvent)
    for big in (
        record("t", value=small, key=b"k" * 1000),
        record("t", value=small, headers=[("h", b"x" * 1000)]),
        record("t", value=small, headers=[("h" * 1000, b"")]),
    ):
        assert isinstance(DECODER(big).content, OversizedEvent)


def test_a_record_that_nobody_could_read_says_why() -> None:
    why = UnreadableRecord("the client cannot read it")
    broken = record("t", value=None)
    object.__setattr__(broken, "checksum", why)
    said = DECODER(broken).content
    assert isinstance(said, UnreadableRecord)
    assert str(said).startswith("the client cannot read it; key, value and headers are left out")


def test_an_event_is_taken_for_the_memory_that_it_fills() -> None:
    wide = b'{"id": "x", "text": "y", "metadata": {"a": [' + b"[]," * 200 + b"0]}}"
    assert DECODER(record("t", value=wide)).n_bytes > 200 * 56
    emoji = '{"id": "x", "text": "' + "a" * 400 + "😀" + '"}'
    assert DECODER(record("t", value=emoji.encode())).n_bytes > 4 * 400
