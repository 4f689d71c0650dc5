"""Labelled documents, as they stand in the labels topic. Offsets count code points from the document's start."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Message
from schemas.names import Category, Name


class Dataset(StrEnum):
    """Which part of the data a document was assigned to by hand."""

    TRAIN = "Train"
    TEST = "Test"


class EntityLabel(Message):
    """A labelled span."""

    category: Category
    offset: Annotated[int, Field(ge=0)]
    length: Annotated[int, Field(ge=1)]


class Region(Message):
    """A part of the text that was labelled completely; training looks at nothing else."""

    offset: Annotated[int, Field(ge=0)]
    length: Annotated[int, Field(ge=0)]
    labels: list[EntityLabel] = []


class LabelledDocument(Message):
    """A document of a project with its labels: ``regions`` for entities, ``classes`` for classification.

    ``position`` keeps the order of the labels file, so that an export gives back what was imported. Without labels
    (no region, no class) a document is part of the project but of no training.
    """

    project: Name
    id: str
    text: str
    language: str | None = None
    dataset: Dataset | None = None
    regions: list[Region] = []
    classes: list[Category] = []
    position: int = 0
