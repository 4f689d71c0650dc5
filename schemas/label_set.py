"""Labels as they were read from a file, before anybody checked them.

Every reader gives a ``LabelSet``, ``schemas.label_checks`` says all that is wrong with it, and ``documents_of`` turns
it into the labelled documents of a project. So nothing here refuses a value, however wrong.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from pydantic import ValidationError

from schemas.errors import InvalidLabels
from schemas.labels import Dataset, EntityLabel, LabelledDocument, Region
from schemas.names import Kind, StringIndexType
from schemas.text_index import positions_in

_MAX_SHOWN_CHARS = 60


def quoted(word: str) -> str:
    """Return a name from the file for a sentence: in quotes, at most 60 characters."""
    return repr(word if len(word) <= _MAX_SHOWN_CHARS else word[:_MAX_SHOWN_CHARS] + "…")


def is_text(word: str) -> bool:
    """Whether ``word`` is free of halves of surrogate pairs."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class RawLabel:
    """A labelled span as it stands in the file."""

    category: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class RawRegion:
    """A labelled part of the text as it stands in the file."""

    offset: int
    length: int
    labels: tuple[RawLabel, ...] = ()


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A document as it stands in the file.

    Attributes:
        place: Where in the file, such as ``documents[3]`` or ``line 17``.
        id: Its location in Azure's file.
        text: ``None`` if nobody has found it (yet).
    """

    place: str
    id: str
    text: str | None = None
    language: str | None = None
    dataset: str | None = None
    regions: tuple[RawRegion, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether training would look at it."""
        return bool(self.regions or self.classes)

    def named(self, within: str = "") -> str:
        """Return its place, or a place ``within`` it, for a sentence."""
        return f"{self.place}{within} ({self.id[:_MAX_SHOWN_CHARS] if self.id.isprintable() else quoted(self.id)})"

    def boundaries(self) -> Iterable[int]:
        """Return every position that a region or label begins or ends at."""
        for region in self.regions:
            yield from (region.offset, region.offset + region.length)
            for label in region.labels:
                yield from (label.offset, label.offset + label.length)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a labels file says of its project. The fields are named as in ``ProjectRecord``."""

    language: str
    multilingual: bool = False
    description: str = ""
    confidence_threshold: float | None = None
    storage_container: str = ""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """All that a file says.

    Attributes:
        kind: ``None`` if the file does not say.
        categories: Entity types or classes, in the file's order.
        documents: In the file's order.
        unit: What offsets and lengths count.
        envelope: Only Azure's file has one.
        problems: What could not even be read, with its place.
        n_unreadable: Documents among the problems.
    """

    kind: Kind | None
    categories: tuple[str, ...]
    documents: tuple[RawDocument, ...]
    unit: StringIndexType = StringIndexType.CODE_POINT
    envelope: Envelope | None = None
    problems: tuple[str, ...] = field(default=())
    n_unreadable: int = 0

    def with_texts(self, texts: Mapping[str, str], problems: Iterable[str] = ()) -> Self:
        """Return this with each document's text taken from ``texts``, by its id, and further ``problems``."""
        documents = tuple(replace(document, text=texts.get(document.id)) for document in self.documents)
        return replace(self, documents=documents, problems=(*self.problems, *problems))


def documents_of(labels: LabelSet, *, project: str) -> list[LabelledDocument]:
    """Return the labelled documents of ``project``, offsets in code points, in the file's order.

    Raises:
        InvalidLabels: If ``labels`` has problems that ``check_labels`` would have named.
    """
    try:
        return [
            _document(document, labels.unit, project, position) for position, document in enumerate(labels.documents)
        ]
    except (ValidationError, KeyError) as error:
        raise InvalidLabels(["expected labels without problems: check them first"]) from error


def label_set_of(documents: Iterable[LabelledDocument], *, kind: Kind, categories: Iterable[str]) -> LabelSet:
    """Return ``documents`` of a project as a label set, for ``check_labels``."""
    return LabelSet(
        kind=kind,
        categories=tuple(categories),
        documents=tuple(_raw(document) for document in documents),
    )


def whole_text(text: str, labels: Iterable[RawLabel]) -> tuple[RawRegion, ...]:
    """Return one region for all of ``text``: most formats know no regions."""
    return (RawRegion(0, len(text), tuple(labels)),)


def categories_in(documents: Iterable[RawDocument]) -> tuple[str, ...]:
    """Return the categories in use, in the order of their first use: most formats do not list them."""
    found: dict[str, None] = {}
    for document in documents:
        found |= dict.fromkeys(label.category for region in document.regions for label in region.labels)
        found |= dict.fromkeys(document.classes)
    return tuple(found)


def _document(raw: RawDocument, unit: StringIndexType, project: str, position: int) -> LabelledDocument:
    text = raw.text or ""
    at = positions_in(text, raw.boundaries(), source=unit, target=StringIndexType.CODE_POINT)
    return LabelledDocument(
        project=project,
        id=raw.id,
        text=text,
        language=raw.language,
        dataset=Dataset(raw.dataset) if raw.dataset else None,
        regions=[
            Region(
                offset=at[region.offset],
                length=at[region.offset + region.length] - at[region.offset],
                labels=[_label(label, at) for label in region.labels],
            )
            for region in raw.regions
        ],
        classes=list(raw.classes),
        position=position,
    )


def _label(raw: RawLabel, at: Mapping[int, int]) -> EntityLabel:
    start = at[raw.offset]
    return EntityLabel(category=raw.category, offset=start, length=at[raw.offset + raw.length] - start)


def _raw(document: LabelledDocument) -> RawDocument:
    regions = tuple(
        RawRegion(
            region.offset,
            region.length,
            tuple(RawLabel(label.category, label.offset, label.length) for label in region.labels),
        )
        for region in document.regions
    )
    return RawDocument(
        place="document",
        id=document.id,
        text=document.text,
        language=document.language,
        dataset=document.dataset,
        regions=regions,
        classes=tuple(document.classes),
    )
