"""The sample projects that come with Lexstream: labelled documents, and others to be enriched."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

import orjson

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Sample:
    """One sample project."""

    name: str
    what: str

    @property
    def labels(self) -> Path:
        """The labels file; the texts are in ``documents`` beside it."""
        return DATA / self.name / "labels.json"

    @cached_property
    def stream(self) -> list[dict[str, Any]]:
        """Unlabelled document events."""
        lines = (DATA / self.name / "stream.jsonl").read_bytes().splitlines()
        return [orjson.loads(line) for line in lines if line]


SAMPLES = (
    Sample("leases", "finds tenants, landlords, rents and dates in letters about renting"),
    Sample("tickets", "gives each support ticket its one class"),
    Sample("notices", "gives compliance notices every class that fits"),
)


def mixed() -> list[dict[str, Any]]:
    """Return the documents of all samples in turn."""
    rounds = zip_longest(*(sample.stream for sample in SAMPLES))
    return [document for each in rounds for document in each if document is not None]


def endless(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield ``documents`` again and again, each time with other ids."""
    for number in count(2):
        for document in documents:
            yield {**document, "id": f"{document['id']}-{number}"}


BAD_EVENTS = (
    (b"broken-json", b'{"id": "broken-json", "text": "this never ends'),
    (b"no-text", b'{"id": "no-text", "tasks": [{"project": "leases", "deployment": "production"}]}'),
    (
        b"nobody-there",
        b'{"id": "nobody-there", "text": "Who answers?", "tasks": [{"project": "leases", "deployment": "nowhere"}]}',
    ),
)
"""Broken JSON, a missing field, a deployment that does not exist: key and value."""
