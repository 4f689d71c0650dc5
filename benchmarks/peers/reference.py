"""What is right: the spans that transformers finds in FP32. Kept, since it takes a while."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.peers.judging import Span
from benchmarks.peers.programs.common import load_pipeline
from benchmarks.peers.subject import Document

_AT_ONCE = 16


def expected_spans(
    documents: Sequence[Document], *, model: Path, cache: Path, on_progress: Callable[[int], None]
) -> dict[str, frozenset[Span]]:
    """Return the spans of each document, by its id."""
    path = cache / f"expected-{_key(documents, model)}.json"
    if not path.exists():
        found = _read(documents, model, on_progress)
        path.write_text(json.dumps(found), "utf-8")
    stored = json.loads(path.read_text("utf-8"))
    return {
        name: frozenset((category, start, length) for category, start, length in spans)
        for name, spans in stored.items()
    }


def _read(documents: Sequence[Document], model: Path, on_progress: Callable[[int], None]) -> dict[str, list[Span]]:
    pipeline = load_pipeline(str(model))
    by_length = sorted(documents, key=lambda document: len(document.text))
    found: dict[str, list[Span]] = {}
    for first in range(0, len(by_length), _AT_ONCE):
        batch = by_length[first : first + _AT_ONCE]
        for document, spans in zip(batch, pipeline([each.text for each in batch], batch_size=_AT_ONCE), strict=True):
            found[document.id] = [(each["entity_group"], each["start"], each["end"] - each["start"]) for each in spans]
        on_progress(len(found))
    return found


def _key(documents: Iterable[Document], model: Path) -> str:
    digest = hashlib.sha256((model / "model.safetensors").read_bytes())
    for document in documents:
        digest.update(f"{document.id}\0{document.text}\0".encode())
    return digest.hexdigest()[:16]
