"""Labelled documents beside what a model answered, as evaluations read them."""

from collections.abc import Sequence

from models.evaluation.items import ClassDocument, EntityDocument, Span
from schemas.enriched import ClassScore, Entity
from schemas.labels import LabelledDocument


def entity_document(document: LabelledDocument, entities: Sequence[Entity]) -> EntityDocument:
    """Return a document's labels beside the entities that were found."""
    return EntityDocument(
        id=document.id,
        text=document.text,
        language=document.language,
        regions=tuple((region.offset, region.offset + region.length) for region in document.regions),
        expected=tuple(
            Span(label.category, label.offset, label.offset + label.length)
            for region in document.regions
            for label in region.labels
        ),
        predicted=tuple(
            Span(
                entity["category"],
                entity["offset"],
                entity["offset"] + entity["length"],
                entity["confidenceScore"],
            )
            for entity in entities
        ),
    )


def class_document(document: LabelledDocument, classes: Sequence[ClassScore]) -> ClassDocument:
    """Return a document's classes beside those that were predicted."""
    return ClassDocument(
        id=document.id,
        language=document.language,
        expected=tuple(document.classes),
        predicted={each["category"]: each["confidenceScore"] for each in classes},
    )
