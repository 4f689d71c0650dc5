"""``lexstream publish``: documents in."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import DOCUMENTS, Cli, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka.structs import RecordMetadata

    from agents.cli.inputs import Checked, Defaults, Source


_SHOWN = 20


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
    force: Annotated[
        bool, typer.Option("--force", help="Send even what asks a deployment that is not there (yet).")
    ] = False,
) -> None:
    """Publish documents: text files (one document each), JSON lines ({"id", "text", …} or {"text"}), folders, stdin.

    All of them are checked first; if one is wrong, or asks a deployment that is not there, none is sent. A document
    without an id is called after its file (letter.txt, lines-17), in a folder after its path there (may/letter.txt), or
    after the run if it comes from stdin (stdin-3f9a02c1-17).
    """
    from agents.cli.inputs import Defaults, check, find_sources, nobody_asked, read_tasks
    from agents.cli.topics import input_topic

    target = input_topic(cli.settings, topic or "documents")
    defaults = Defaults(tasks=read_tasks(task or []), language=language, key=key)
    found = find_sources(files)
    checked = check(found.sources, defaults)
    _say_skipped(cli, found.skipped)
    _warner(cli)(nobody_asked(checked, cli.settings, target))
    cli.run(_require_deployments(cli, checked, on_problems=_warner(cli) if force else _refuse))
    counts = cli.run(_send(cli, target, found.sources, defaults, total=checked.count))
    if cli.for_machines:
        partitions = {str(n): counts[n] for n in counts}
        cli.emit({"topic": target, "documents": counts.total(), "partitions": partitions, "skipped": found.skipped})
    else:
        noun = "document" if counts.total() == 1 else "documents"
        cli.out.print(f"[good]✓[/good] {counts.total():,} {noun} in [name]{target}[/name]")


def _say_skipped(cli: Cli, skipped: "Mapping[str, str]") -> None:
    if not skipped:
        return
    noun = "file" if len(skipped) == 1 else "files"
    cli.err.print(f"[middling]![/middling] {len(skipped):,} {noun} skipped:")
    for name, reason in islice(skipped.items(), _SHOWN):
        cli.err.print(f"  {name}: {reason}", markup=False, highlight=False)
    if len(skipped) > _SHOWN:
        cli.err.print(f"  and {len(skipped) - _SHOWN:,} more")


async def _require_deployments(cli: Cli, checked: "Checked", *, on_problems: "Callable[[list[str]], None]") -> None:
    """Look whether somebody would answer: Azure refuses such a request, here it would become a dead letter later."""
    from agents.cli.inputs import unknown_tasks
    from schemas.errors import InvalidInput

    if not checked.tasks:
        return
    async with cli.client() as client:
        try:
            problems = unknown_tasks(checked.tasks, await client.registry())
        except InvalidInput as error:
            problems = error.problems
    if problems:
        on_problems(problems)


def _refuse(problems: list[str]) -> None:
    from schemas.errors import InvalidInput

    raise InvalidInput([f"{problem}; nothing was sent, --force sends it all the same" for problem in problems])


def _warner(cli: Cli) -> "Callable[[list[str]], None]":
    def warn(problems: list[str]) -> None:
        for problem in problems:
            cli.err.print(f"! {problem}", markup=False, highlight=False, style="middling")

    return warn


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
