"""A text with its entities highlighted, and only the passages that matter of a long one."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from agents.cli.render.text import safe
from agents.cli.theme import Colours
from schemas.enriched import Entity

SHORT_CHARS = 700
CONTEXT_CHARS = 70
MAX_ENTITIES = 30
_BYTES = {"Utf16CodeUnit": ("utf-16-le", 2), "Utf8CodeUnit": ("utf-8", 1)}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text, half-open, in code points; ``entity`` is ``None`` between entities."""

    start: int
    end: int
    entity: Entity | None = None


def code_point(text: str, position: int, unit: str) -> int:
    """Return the code point that ``position`` in ``unit`` stands for."""
    if unit not in _BYTES:
        return position
    encoding, size = _BYTES[unit]
    return len(text.encode(encoding, "surrogatepass")[: position * size].decode(encoding, "ignore"))


def pieces(text: str, entities: Sequence[Entity], *, unit: str) -> list[Piece]:
    """Cut ``text`` into entities and what is between them. Of overlapping entities the first is taken."""
    found: list[Piece] = []
    position = 0
    for entity in sorted(entities, key=lambda each: (each["offset"], -each["length"])):
        start = code_point(text, entity["offset"], unit)
        end = code_point(text, entity["offset"] + entity["length"], unit)
        if start < position:
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
    cut = pieces(text, shown, unit=unit)
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
        (f" {safe(entity['text'])} ", f"bold black on {colour}"),
        (f" {entity['category']}", f"bold {colour}"),
        (f" {entity['confidenceScore']:.2f} ", "quiet"),
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


def bracketed(text: str, entities: Sequence[Entity], *, unit: str = "UnicodeCodePoint") -> str:
    """Return the text with its entities in brackets, for places without colours."""
    return highlighted(text, entities, colours=lambda _: "default", unit=unit).plain
