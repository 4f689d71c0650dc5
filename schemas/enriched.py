"""The enriched document: what a worker sends to an output topic.

These are typed dictionaries, not pydantic models: the hot path fills them and hands them straight to orjson or
fastavro. Readers check what they got with ``ENRICHED.validate_python``.
"""

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

SOURCE_HEADER = "lexstream-source"
"""Header with ``topic/partition/offset`` of the input event."""
MODEL_HEADER = "lexstream-model"
"""Header with ``project/deployment=digest``, one for each task."""


class Entity(TypedDict):
    """A span of the text. ``offset`` and ``length`` count in the document's ``stringIndexType``."""

    text: str
    category: str
    offset: int
    length: int
    confidenceScore: float


class ClassScore(TypedDict):
    """A class and how sure the model is of it, between 0 and 1."""

    category: str
    confidenceScore: float


class ServedModel(TypedDict):
    """The model that answered."""

    label: str
    digest: str


class Source(TypedDict):
    """Where the input event stood."""

    topic: str
    partition: int
    offset: int
    timestamp: str


class TaskResult(TypedDict):
    """What one task found: ``entities`` or ``classes``, by the project's kind."""

    project: str
    deployment: str
    kind: Literal["CustomEntityRecognition", "CustomSingleLabelClassification", "CustomMultiLabelClassification"]
    model: ServedModel
    entities: NotRequired[list[Entity]]
    classes: NotRequired[list[ClassScore]]
    warnings: list[str]


class TaskFailure(TypedDict):
    """Why one task could not be served."""

    code: str
    message: str
    project: str
    deployment: str


@with_config(ConfigDict(extra="forbid"))
class EnrichedDocument(TypedDict):
    """A document with the results of its tasks. ``text`` is left out with the setting ``include_text=false``."""

    id: str
    text: NotRequired[str]
    language: str | None
    metadata: dict[str, Any]
    stringIndexType: Literal["UnicodeCodePoint", "Utf16CodeUnit", "Utf8CodeUnit"]
    source: Source
    results: list[TaskResult]
    errors: list[TaskFailure]
    enrichedAt: str


ENRICHED: TypeAdapter[EnrichedDocument] = TypeAdapter(EnrichedDocument)
