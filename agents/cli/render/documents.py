"""Enriched documents: the text with its entities, classes as bars, where it came from and who answered."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from agents.cli.render.spans import highlighted, listed
from agents.cli.render.text import bar, duration, safe, short_digest, shorten
from agents.cli.theme import Colours, grade
from schemas.enriched import ClassScore, EnrichedDocument, TaskFailure, TaskResult

_EXCERPT_CHARS = 280
_MAX_CLASSES = 8


def latency_s(document: EnrichedDocument) -> float:
    """Return how long it took from the input event to the answer."""
    came, went = document["source"]["timestamp"], document["enrichedAt"]
    return (datetime.fromisoformat(went) - datetime.fromisoformat(came)).total_seconds()


def place(document: EnrichedDocument) -> str:
    """Return where the input event stood, as ``topic/partition@offset``."""
    source = document["source"]
    return f"{source['topic']}/{source['partition']}@{source['offset']}"


def document_panel(document: EnrichedDocument, *, colours: Colours, note: str = "") -> Panel:
    """Return a framed view of an enriched document."""
    style = "bad" if document["errors"] and not document["results"] else "grey50"
    return Panel(
        Group(*document_lines(document, colours=colours)),
        title=Text.assemble((safe(document["id"]), "title"), (f"  {note}" if note else "", "quiet")),
        title_align="left",
        subtitle=Text(f"{place(document)} · {duration(max(latency_s(document), 0))}", "quiet"),
        subtitle_align="right",
        border_style=style,
    )


def document_plain(document: EnrichedDocument, *, colours: Colours, note: str = "") -> Group:
    """Return the same without a frame, for output that nobody watches."""
    head = Text(f"{safe(document['id'])}  {place(document)}{'  ' + note if note else ''}")
    lines: list[RenderableType] = [head]
    for line in document_lines(document, colours=colours):
        line.pad_left(2)
        lines.append(line)
    return Group(*lines)


def document_lines(document: EnrichedDocument, *, colours: Colours) -> list[Text]:
    """Return the lines of a document: each task's answer, then what could not be answered."""
    text = document.get("text")
    lines: list[Text] = []
    if text is not None and not any("entities" in result for result in document["results"]):
        lines.append(Text(shorten(safe(text), _EXCERPT_CHARS)))
    for result in document["results"]:
        lines += _result_lines(result, text=text, unit=document["stringIndexType"], colours=colours)
    return lines + [_failure_line(failure) for failure in document["errors"]]


def _result_lines(result: TaskResult, *, text: str | None, unit: str, colours: Colours) -> list[Text]:
    lines = [_model_line(result)]
    if "entities" in result:
        entities = result["entities"]
        if text is None:
            lines += listed(entities, colours=colours)
        else:
            lines.append(highlighted(text, entities, colours=colours, unit=unit))
    lines += class_lines(result.get("classes", []), colours=colours)
    if "classes" in result and not result["classes"]:
        lines.append(Text("no class was sure enough", "quiet"))
    return lines + [Text(f"! {safe(warning)}", "middling") for warning in result["warnings"]]


def _model_line(result: TaskResult) -> Text:
    model = result["model"]
    return Text.assemble(
        (f"{result['project']}/{result['deployment']}", "name"),
        (f"  model {model['label']} · {short_digest(model['digest'])}", "quiet"),
    )


def class_lines(classes: Sequence[ClassScore], *, colours: Colours) -> list[Text]:
    """Return a bar for each class."""
    width = max((len(each["category"]) for each in classes), default=0)
    return [
        Text.assemble(
            (f"{each['category']:<{width}}  ", f"bold {colours(each['category'])}"),
            bar(each["confidenceScore"], width=24, style=colours(each["category"])),
            (f"  {each['confidenceScore']:.2f}", grade(each["confidenceScore"])),
        )
        for each in classes[:_MAX_CLASSES]
    ]


def _failure_line(failure: TaskFailure) -> Text:
    return Text.assemble(
        (f"{failure['project']}/{failure['deployment']}  {failure['code']}: ", "bad"), safe(failure["message"])
    )
