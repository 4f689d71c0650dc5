"""``lexstream publish``: documents in."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import DOCUMENTS, Cli, command

if TYPE_CHECKING:
    from aiokafka.structs import RecordMetadata

    from agents.cli.inputs import Defaults, Source


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "publish", example="lexstream publish letters/ --task loans/production", panel=DOCUMENTS)(publish)


def publish(
    cli: Cli,
    files: Annotated[list[str], typer.Argument(metavar="FILES...", help="Files, folders, or - for stdin.")],
    *,
    task: Annotated[
        list[str] | None, typer.Option(help="PROJECT/DEPLOYMENT to ask, where a document does not say.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Another input topic than documents.")] = None,
    key: Annotated[str | None, typer.Option(help="One key for all, which keeps their order; default: the id.")] = None,
    language: Annotated[str | None, typer.Option(help="The language, where a document does not say.")] = None,
) -> None:
    """Publish documents: text files (one document each), JSON lines ({"id", "text", …} or {"text"}), folders, stdin.

    All of them are checked first; if one is wrong, none is sent.
    """
    from agents.cli.inputs import Defaults, check, find_sources, read_tasks
    from agents.cli.topics import full_name

    defaults = Defaults(tasks=read_tasks(task or []), language=language, key=key)
    sources = find_sources(files)
    target = full_name(cli.settings.topics, topic or "documents")
    total = check(sources, defaults)
    counts = cli.run(_send(cli, target, sources, defaults, total=total))
    if cli.for_machines:
        cli.emit({"topic": target, "documents": counts.total(), "partitions": {str(n): counts[n] for n in counts}})
    else:
        noun = "document" if counts.total() == 1 else "documents"
        cli.out.print(f"[good]✓[/good] {counts.total():,} {noun} in [name]{target}[/name]")


async def _send(cli: Cli, topic: str, sources: "list[Source]", defaults: "Defaults", *, total: int) -> "Counter[int]":
    from agents.cli.inputs import messages

    counts: Counter[int] = Counter()
    with counting(cli, "publishing", total) as advance:

        def delivered(where: "RecordMetadata") -> None:
            counts[where.partition] += 1
            advance()

        async with cli.client() as client:
            await client.publish(topic, messages(sources, defaults), delivered=delivered)
    return counts


class counting:
    """Shows a bar on a terminal when there is much to do."""

    _FEW = 20

    def __init__(self, cli: Cli, title: str, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        hidden = not cli.err.is_terminal or total < self._FEW
        self._progress = Progress(*columns, console=cli.err, transient=True, disable=hidden)
        self._task = self._progress.add_task(title, total=total)

    def __enter__(self) -> Callable[[], None]:
        self._progress.start()
        return lambda: self._progress.advance(self._task)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
