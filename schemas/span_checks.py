"""Everything that can be wrong with the regions and entities of one document."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from schemas.label_set import RawDocument, RawLabel, RawRegion, is_text, quoted
from schemas.names import StringIndexType
from schemas.text_index import length_in, positions_in, why_no_position

LONG_ENTITY_CHARS = 500


@dataclass(frozen=True, slots=True)
class _Placed:
    """A label, its region, and where in the file it stands."""

    place: str
    region: RawRegion
    label: RawLabel

    @property
    def start(self) -> int:
        return self.label.offset

    @property
    def end(self) -> int:
        return self.label.offset + self.label.length


def span_problems(document: RawDocument, unit: StringIndexType, known: Set[str]) -> Iterator[str]:
    """Say what makes the spans of ``document`` unusable; ``known`` are the entity types there are."""
    placed = _placed(document)
    for one in placed:
        yield from _bad_label(one, known)
    if document.text and not document.text.isspace() and is_text(document.text):
        yield from _outside_text(document, document.text, unit)
    yield from _overlaps(placed)


def span_warnings(document: RawDocument, unit: StringIndexType) -> Iterator[str]:
    """Say what is odd about the spans of ``document``."""
    text = document.text or ""
    if not is_text(text):
        return
    at = positions_in(text, document.boundaries(), source=unit, target=StringIndexType.CODE_POINT)
    for one in _placed(document):
        covered = text[at[one.start] : at[one.end]] if one.start in at and one.end in at else ""
        if len(covered) > LONG_ENTITY_CHARS:
            yield f"{one.place}: {len(covered)} characters; Azure takes at most {LONG_ENTITY_CHARS} in an entity"
        if covered != covered.strip():
            yield f"{one.place}: the entity begins or ends with white space"


def _placed(document: RawDocument) -> list[_Placed]:
    return [
        _Placed(document.named(f".entities[{r}].labels[{i}]"), region, label)
        for r, region in enumerate(document.regions)
        for i, label in enumerate(region.labels)
    ]


def _bad_label(one: _Placed, known: Set[str]) -> Iterator[str]:
    if one.label.category not in known:
        yield f"{one.place}: unknown entity type {quoted(one.label.category)}, expected one that is listed"
    if one.label.length < 1:
        yield f"{one.place}: expected a length of at least 1, got {one.label.length}"
        return
    region = one.region
    if not region.offset <= one.start < one.end <= region.offset + region.length:
        around = _range(region.offset, region.offset + region.length)
        yield f"{one.place}: {_range(one.start, one.end)} is not within its region, {around}"


def _outside_text(document: RawDocument, text: str, unit: StringIndexType) -> Iterator[str]:
    spans = [(document.named(f".entities[{r}]"), region) for r, region in enumerate(document.regions)]
    usable = positions_in(text, document.boundaries(), source=unit, target=StringIndexType.CODE_POINT)
    for place, region in spans:
        if region.length < 0:
            yield f"{place}: expected a length of at least 0, got {region.length}"
    length = length_in(text, unit)
    ends = [(place, region.offset, region.offset + region.length) for place, region in spans]
    ends += [(one.place, one.start, one.end) for one in _placed(document)]
    for place, start, end in ends:
        bad = [position for position in dict.fromkeys((start, end)) if position not in usable]
        if bad:
            yield f"{place}: {'; '.join(why_no_position(position, length, unit) for position in bad)}"


def _overlaps(placed: list[_Placed]) -> Iterator[str]:
    furthest: _Placed | None = None
    for one in sorted(placed, key=lambda one: (one.start, one.end)):
        if one.label.length < 1:
            continue
        if furthest and one.start < furthest.end:
            yield f"{one.place}: {_range(one.start, one.end)} overlaps {furthest.place}"
        if furthest is None or one.end > furthest.end:
            furthest = one


def _range(start: int, end: int) -> str:
    return f"{start} to {end}"
