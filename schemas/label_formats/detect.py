"""Which format a file is in, by its name and its beginning."""

from pathlib import Path

import orjson

from schemas.codecs.json import type_name
from schemas.errors import InvalidLabels
from schemas.label_formats.conll import read_conll
from schemas.label_formats.jsonl import read_json_list, read_jsonl
from schemas.label_formats.label_studio import looks_like_label_studio, read_label_studio
from schemas.label_formats.table import read_table
from schemas.label_set import LabelSet
from schemas.label_texts import decode_text, read_texts
from schemas.labels_file import parse_labels_file

_BY_SUFFIX = {
    ".csv": read_table,
    ".tsv": read_table,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".conll": read_conll,
    ".iob": read_conll,
    ".bio": read_conll,
}


def detect_and_read(path: Path, documents: Path) -> LabelSet:
    """Return what the file ``path`` says, with texts.

    Args:
        path: Azure's labels file, CoNLL, JSON lines or list, Label Studio's export or CSV.
        documents: Folder with the texts, for Azure's file; the others have them inside.

    Raises:
        InvalidLabels: If it cannot be read at all. All lesser problems are in the label set.
    """
    try:
        content = decode_text(path.read_bytes())
    except OSError as error:
        raise InvalidLabels([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise InvalidLabels([f"{path}: expected UTF-8, got other bytes at position {error.start}"]) from error
    reader = _BY_SUFFIX.get(path.suffix.casefold())
    if reader:
        return reader(content, name=path.stem)
    if not content.lstrip().startswith(("{", "[")):
        return read_conll(content, name=path.stem)
    return _read_json(content, path, documents)


def _read_json(content: str, path: Path, documents: Path) -> LabelSet:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        first_line = content.lstrip().partition("\n")[0].rstrip()
        if first_line.startswith("{") and first_line.endswith("}"):
            return read_jsonl(content, name=path.stem)
        raise InvalidLabels([f"{path}: expected JSON: {error}"]) from error
    match found:
        case {"assets": _}:
            labels = parse_labels_file(content.encode())
            return labels.with_texts(*read_texts(documents, [document.id for document in labels.documents]))
        case list() if looks_like_label_studio(found):
            return read_label_studio(found, name=path.stem)
        case list():
            return read_json_list(found, name=path.stem)
        case {"text": _}:
            return read_jsonl(content, name=path.stem)
    got = type_name(found)
    raise InvalidLabels([f"{path}: expected Azure's labels file, a list of tasks or of documents, got {got}"])
