"""``lexstream analyze``: one document through the interactive lane."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.context import DOCUMENTS, Cli, command

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from schemas.documents import DocumentEvent
    from schemas.enriched import EnrichedDocument


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "analyze", example="lexstream analyze loans/production letter.txt", panel=DOCUMENTS)(analyze)


def analyze(
    cli: Cli,
    task: Annotated[str, typer.Argument(metavar="PROJECT/DEPLOYMENT", help="Whom to ask.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="A text file, or - for stdin.")],
    language: Annotated[str | None, typer.Option(help="The document's language.")] = None,
    timeout: Annotated[float, typer.Option(help="Give up after this many seconds.", min=0.1)] = 30.0,
) -> None:
    """Ask about one document through the interactive lane, and show the answer and how long it took."""
    from uuid import uuid4

    from agents.cli.inputs import read_tasks

    event: dict[str, Any] = {
        "id": f"analyze-{uuid4()}",
        "tasks": read_tasks([task]),
        "text": _read(file),
        "language": language,
    }
    from schemas.documents import DocumentEvent

    took, document = cli.run(_ask(cli, DocumentEvent(**event), timeout))
    if cli.for_machines:
        cli.emit({**document, "latencyMs": round(took * 1000, 1)})
    else:
        _show(cli, document, took, title=file)


def _read(file: str) -> str:
    import sys

    from schemas.label_texts import decode_text

    return decode_text(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())


async def _ask(cli: Cli, event: "DocumentEvent", timeout_s: float) -> "tuple[float, EnrichedDocument]":
    import orjson

    from agents.client import Outgoing
    from schemas.errors import Unavailable

    topics = cli.settings.topics
    async with cli.client() as client, client.follow([topics.replies, topics.dead_letters]) as follower:
        start_s = time.monotonic()
        await client.send(topics.requests, Outgoing(orjson.dumps(event.payload()), event.id.encode()))
        while time.monotonic() - start_s < timeout_s:
            for record in await follower.poll():
                if record.key == event.id.encode():
                    return time.monotonic() - start_s, _answer(cli, record)
    raise Unavailable(f"no answer within {timeout_s:g} s; is a `lexstream worker` running? See `lexstream events`")


def _answer(cli: Cli, record: "ConsumerRecord") -> "EnrichedDocument":
    from agents.cli.codecs import enriched_codec
    from schemas.dead_letters import DeadLetter
    from schemas.errors import LexstreamError

    if record.topic == cli.settings.topics.dead_letters:
        letter = DeadLetter.from_headers(record.headers)
        raise LexstreamError(f"{letter.error}: {letter.message}")
    return enriched_codec(cli.settings).decode(record.value)


def _show(cli: Cli, document: "EnrichedDocument", took_s: float, *, title: str) -> None:
    from agents.cli.render.documents import document_panel, document_plain
    from agents.cli.render.text import duration
    from agents.cli.theme import Palette

    named: EnrichedDocument = {**document, "id": Path(title).name}
    draw = document_panel if cli.out.is_terminal else document_plain
    cli.out.print(draw(named, colours=Palette().colour, note=f"answered after {duration(took_s)}"))
