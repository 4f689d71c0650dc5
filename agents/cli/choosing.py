"""Which dead letters the options of ``list`` and ``replay`` choose, and a pass over these."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import Cli

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.client import Client
    from agents.letters import Advanced, Letter, Selection, Source
    from agents.survey import Survey

Reason = Annotated[
    list[str] | None, typer.Option(help="Only these: a reason such as DecodeError, or a stage such as decode.")
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those that failed since then: 2026-01-05T10:00, or an age: 2h.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only those that failed before.")]
FromSource = Annotated[
    list[str] | None,
    typer.Option(
        "--source", help="Only those that came from there: TOPIC, TOPIC/PARTITION, TOPIC/PARTITION@FROM[-TO]."
    ),
]


def selection(
    cli: Cli, *, reason: list[str] | None, since: str | None, until: str | None, source: list[str] | None
) -> "Selection":
    """Return what the options of ``list`` and ``replay`` choose.

    Raises:
        BadParameter: If one of them cannot be read, or they leave no time between them.
    """
    from dataclasses import replace

    from agents.cli.topics import full_name
    from agents.letters import Selection, Source
    from schemas.errors import InvalidInput

    try:
        sources = [Source.parse(text) for text in source or []]
        since_ms, until_ms = _period(since, until)
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None
    return Selection(
        reasons=frozenset(reason or []),
        since_ms=since_ms,
        until_ms=until_ms,
        sources=tuple(replace(each, topic=full_name(cli.settings.topics, each.topic)) for each in sources),
    )


def _period(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    from datetime import UTC, datetime

    from agents.letters import parse_time
    from schemas.errors import InvalidInput

    now = datetime.now(UTC)
    since_ms = None if since is None else parse_time(since, option="--since", now=now)
    until_ms = None if until is None else parse_time(until, option="--until", now=now)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise InvalidInput([f"--since {since} --until {until}: nothing is between them, expected --until to be later"])
    return since_ms, until_ms


async def survey_of(cli: Cli, chosen: "Selection", *, n_newest: int) -> "Survey":
    """Return what there is of what is chosen, with the newest ``n_newest`` letters.

    Raises:
        InvalidInput: If nothing came from the chosen sources since the chosen time, and some of them do not exist.
    """
    from agents.letters import Letter, letters_of
    from agents.replayed import look_up_replayed
    from agents.survey import Survey

    found = Survey(chosen, n_newest, keep=_whole if cli.for_machines else Letter.without_value)
    with reading(cli) as advanced:
        async with cli.client() as client:
            known = await look_up_replayed(client)
            async with letters_of(client, since_ms=chosen.since_ms, advanced=advanced) as batches:
                async for batch in batches:
                    for letter in batch:
                        found.take(letter, replayed=letter in known)
            if chosen.sources and not found.there:
                await _require_sources(client, chosen.sources)
    return found


async def _require_sources(client: "Client", sources: "Iterable[Source]") -> None:
    """Refuse sources that are not there: words that were mistyped.

    Raises:
        InvalidInput: With those whose topic or partition does not exist.
    """
    from schemas.errors import InvalidInput

    try:
        there = await client.require_topics({each.topic for each in sources})
    except InvalidInput as error:
        raise InvalidInput([f"--source: {problem}" for problem in error.problems]) from None
    if problems := [
        f"--source {each.topic}/{each.partition}: {each.topic} has only {len(there[each.topic])} partitions, from 0 on"
        for each in sources
        if each.partition is not None and each.partition not in there[each.topic]
    ]:
        raise InvalidInput(problems)


def _whole(letter: "Letter") -> "Letter":
    return letter


@contextmanager
def reading(cli: Cli) -> "Iterator[Advanced]":
    """Show on a terminal how far a pass over the letters is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=cli.err, transient=True, disable=not cli.err.is_terminal) as progress:
        task = progress.add_task("reading dead letters", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
