"""What is fuzzed: each target takes any bytes, and returns or raises an error of ours, soon and in little memory.

``python -m tests.fuzz NAME [SECONDS]`` fuzzes one with atheris, from a corpus that the grammar makes.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson

from agents.control.reading import MAX_COMMAND_BYTES, Invalid, read_command
from schemas.codecs import DocumentCodec, EnrichedCodec
from schemas.dead_letters import DeadLetter, dead_letter_headers, original_headers
from schemas.errors import DecodeError, EventError, InvalidLabels
from schemas.label_checks import check_labels
from schemas.label_formats import detect_and_read
from schemas.label_set import documents_of

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".conll", ".txt")
_DOCUMENTS, _ENRICHED = DocumentCodec(), EnrichedCodec()
_FOLDER = Path(tempfile.gettempdir())


def document(value: bytes) -> None:
    """JSON or Avro, whichever the first byte says; what was read can be written again."""
    try:
        event = _DOCUMENTS.decode(value)
    except EventError as error:
        assert len(str(error)) <= 600
        return
    _DOCUMENTS.encode(event)


def avro(value: bytes) -> None:
    """A record of our own schema, however it is broken."""
    document(b"\x00\x00\x00\x00\x01" + value)


def enriched(value: bytes) -> None:
    """What a reader of an output topic gets."""
    try:
        _ENRICHED.decode(value)
    except EventError:
        return


def command(value: bytes) -> None:
    """A command, or everything that is wrong with it in an event that fits its topic."""
    found = read_command(value)
    if isinstance(found, Invalid):
        assert len(orjson.dumps(found.event.payload())) < 2 * MAX_COMMAND_BYTES


def labels(value: bytes) -> None:
    """A labels file of any format; the first byte chooses its ending."""
    file = _FOLDER / f"fuzz-{os.getpid()}{SUFFIXES[value[0] % len(SUFFIXES)] if value else '.txt'}"
    file.write_bytes(value[1:])
    try:
        found = detect_and_read(file, _FOLDER / "nothing")
    except InvalidLabels:
        return
    finally:
        file.unlink()
    checked = check_labels(found, min_documents=0)
    assert all("\n" not in each for each in (*checked.problems, *checked.warnings))
    if not checked.problems:
        documents_of(found, project="p")


def dead_letter(value: bytes) -> None:
    """Headers of a dead letter, some of them ours, forged."""
    parts = value.split(b"\x00")
    headers = [(part.decode("utf-8", "replace"), other) for part, other in zip(parts[::2], parts[1::2], strict=False)]
    headers += [("__connect.errors." + name, content) for name, content in headers]
    given = dead_letter_headers(headers, topic="t", partition=1, offset=2, timestamp_ms=3, error=DecodeError("no"))
    assert original_headers(given) == headers
    assert DeadLetter.from_headers(given).offset == 2
    try:
        DeadLetter.from_headers(headers)
    except DecodeError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "document": document,
    "avro": avro,
    "enriched": enriched,
    "command": command,
    "labels": labels,
    "dead_letter": dead_letter,
}


def corpus(name: str) -> list[bytes]:
    """Return what a target begins with: what the grammar of hostile input makes."""
    from tests.hostile import grammar

    drawn = [message.value or b"" for message in grammar.examples(grammar.messages, 60)]
    match name:
        case "avro":
            return [value[5:] for value in grammar.examples(grammar.avro, 60)]
        case "command":
            from tests.hostile.test_commands import ODD, payloads

            return [value for value in (*ODD, *payloads()[::9]) if value is not None and len(value) < 5000]
        case "labels":
            from tests.hostile.test_labels import BROKEN

            return [bytes([i % 6]) + orjson.dumps(each) for i, each in enumerate(BROKEN.values())] + _label_lines()
        case "dead_letter":
            names = ("topic", "partition", "offset", "timestamp", "stage", "exception.class.name", "exception.message")
            return [b"\x00".join(name.encode() + b"\x007" for name in names), b"\x00".join(drawn)]
    return drawn


def _label_lines() -> list[bytes]:
    lines = [b'{"text": "2026 is", "entities": [[0, 4, "Date"]]}', b"text,label\na,b\n", b"text\tlabels\na\tb|c\n"]
    return [bytes([i]) + each for i, each in enumerate([lines[0], lines[0], *lines[1:], b"2026\tB-Date\nis\tO\n\n"])]
