"""A text with its entities highlighted, and only the passages that matter of a long one."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from agents.cli.render.text import safe
from agents.cli.theme import Colours
from schemas.enriched import Entity
from schemas.names import StringIndexType
from schemas.text_index import positions_in

SHORT_CHARS = 700
CONTEXT_CHARS = 70
MAX_ENTITIES = 30


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text, half-open, in code points; ``entity`` is ``None`` between entities."""

    start: int
    end: int
    entity: Entity | None = None


def pieces(text: str, entities: Sequence[Entity], *, unit: StringIndexType) -> list[Piece]:
    """Cut ``text`` into entities and what is between them. Of overlapping entities the first is taken."""
    bounds = [position for each in entities for position in (each["offset"], each["offset"] + each["length"])]
    places = positions_in(text, bounds, source=unit, target=StringIndexType.CODE_POINT)
    found: list[Piece] = []
    position = 0
    for entity in sorted(entities, key=lambda each: (each["offset"], -each["length"])):
        start, end = places.get(entity["offset"]), places.get(entity["offset"] + entity["length"])
        if start is None or end is None or start < position:
            continue
        if start > position:
            found.append(Piece(position, start))
        found.append(Piece(start, end, entity))
        position = end
    return [*found, Piece(position, len(text))] if position < len(text) else found


def highlighted(text: str, entities: Sequence[Entity], *, colours: Colours, unit: str = "UnicodeCodePoint") -> Text:
    """Return the text with its entities marked; of a long text only what surrounds them."""
    shown = sorted(entities, key=lambda each: each["offset"])[:MAX_ENTITIES]
    whole = len(text) <= SHORT_CHARS
    result = Text()
    cut = pieces(text, shown, unit=StringIndexType(unit))
    for number, piece in enumerate(cut):
        if piece.entity:
            result.append_text(_marked(piece.entity, colours))
        else:
            between = text[piece.start : piece.end]
            first, last = number == 0, number == len(cut) - 1
            result.append(safe(between if whole else _ends(between, first=first, last=last)))
    if len(entities) > len(shown):
        result.append(f" (and {len(entities) - len(shown)} more)", "quiet")
    return result


def _ends(between: str, *, first: bool, last: bool) -> str:
    if first and last:
        return between[:SHORT_CHARS] + "…"
    head = "" if first else between[:CONTEXT_CHARS]
    tail = "" if last else between[-CONTEXT_CHARS:]
    if len(between) <= len(head) + len(tail):
        return between
    return f"{head} … {tail}"


def _marked(entity: Entity, colours: Colours) -> Text:
    colour = colours(entity["category"])
    return Text.assemble(
        (f"[{safe(entity['text'])}", f"bold black on {colour}"),
        (f" {entity['category']}", f"bold {colour}"),
        (f" {entity['confidenceScore']:.2f}", "quiet"),
        ("]", colour),
    )


def listed(entities: Sequence[Entity], *, colours: Colours) -> list[Text]:
    """Return one line for each entity, for documents that come without their text."""
    return [
        Text.assemble(
            (f"{entity['category']:<20} ", f"bold {colours(entity['category'])}"),
            safe(entity["text"]),
            (f"  {entity['confidenceScore']:.2f}  at {entity['offset']}", "quiet"),
        )
        for entity in entities[:MAX_ENTITIES]
    ]
