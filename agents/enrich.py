"""A document event and what the models found to an enriched document. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from agents.serving import Answerers, Served
from schemas.documents import DocumentEvent
from schemas.enriched import EnrichedDocument, Entity, Source, TaskResult
from schemas.names import StringIndexType
from schemas.text_index import convert_spans

Prediction = Any
"""A typed dictionary with ``entities`` or ``classes``, as the engine returns it."""


_LAST_MS = int(datetime.max.replace(tzinfo=UTC).timestamp()) * 1000 - 1


@lru_cache(maxsize=1024)  # neighbours are often of the same millisecond
def timestamp(ms: int) -> str:
    """Return milliseconds since 1970 as ISO 8601 in UTC; what is no date, such as microseconds, as the nearest one."""
    moment = datetime.fromtimestamp(min(max(ms, 0), _LAST_MS) / 1000, UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


class Enricher:
    """Makes enriched documents the way the settings want them."""

    def __init__(self, *, include_text: bool, string_index_type: StringIndexType) -> None:
        self._include_text = include_text
        self._index = string_index_type

    def __call__(
        self,
        event: DocumentEvent,
        source: Source,
        *,
        answerers: Answerers,
        predictions: Sequence[Prediction],
        at: str,
    ) -> EnrichedDocument:
        """Return the enriched document; ``predictions`` are in the order of ``answerers.served``."""
        served = answerers.served
        document = EnrichedDocument(
            id=event.id,
            text=event.text,
            language=event.language or (served[0].language if served else None),
            metadata=event.metadata,
            stringIndexType=self._index.value,
            source=source,
            results=[
                self._result(event.text, one, prediction) for one, prediction in zip(served, predictions, strict=True)
            ],
            errors=list(answerers.failures),
            enrichedAt=at,
        )
        if not self._include_text:
            del document["text"]
        return document

    def _result(self, text: str, served: Served, prediction: Prediction) -> TaskResult:
        result = TaskResult(
            project=served.project,
            deployment=served.deployment,
            kind=served.kind.value,
            model=served.reference,
            warnings=[],
        )
        if "entities" in prediction:
            result["entities"] = self._entities(text, prediction["entities"])
        else:
            result["classes"] = prediction["classes"]
        return result

    def _entities(self, text: str, entities: list[Entity]) -> list[Entity]:
        if self._index is StringIndexType.CODE_POINT or not entities:
            return entities
        spans = convert_spans(
            text,
            [(entity["offset"], entity["length"]) for entity in entities],
            source=StringIndexType.CODE_POINT,
            target=self._index,
        )
        return [
            {**entity, "offset": offset, "length": length}
            for entity, (offset, length) in zip(entities, spans, strict=True)
        ]
