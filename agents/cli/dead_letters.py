"""``lexstream dead-letters``: events that could not be enriched."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.choosing import FromSource, Reason, Since, Until, reading, selection, survey_of
from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from agents.letters import Letter, Selection
    from agents.replay import Report
    from agents.survey import Counts, Survey

app = typer.Typer(cls=ListByDefault, help="Dead letters: events that could not be enriched, and why.")


@command(app, "list", example="lexstream dead-letters list --reason DecodeError --since 2h")
def list_letters(
    cli: Cli,
    *,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    source: FromSource = None,
    limit: Annotated[int, typer.Option(help="Show at most this many, the newest; 0: only the counts.", min=0)] = 50,
    counts: Annotated[bool, typer.Option("--counts", help="Only the counts, by reason and source.")] = False,
) -> None:
    """List the dead letters, the newest last, and count them by reason and source."""
    from agents.cli.render.dead_letters import counts_tables, letters_table

    chosen = selection(cli, reason=reason, since=since, until=until, source=source)
    survey = cli.run(survey_of(cli, chosen, n_newest=0 if counts else limit))
    survey.require_reasons()
    if cli.for_machines:
        cli.emit(_counts(survey) if counts else [_described(*each) for each in survey.newest])
        return
    if survey.newest:
        cli.out.print(letters_table(survey.newest))
    cli.out.print(counts_tables(survey))


def _described(letter: "Letter", replayed: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from agents.cli.render.stream import describe_record

    return {**describe_record(letter.record), **_facts(asdict(letter.facts)), **_state(letter, replayed=replayed)}


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    place = {name: facts[name] for name in ("topic", "partition", "offset")}
    error = {"stage": facts["stage"], "reason": facts["error"], "message": facts["message"]}
    return {"source": {**place, "timestampMs": facts["timestamp_ms"]}, "error": error}


def _state(letter: "Letter", *, replayed: bool) -> dict[str, Any]:
    return {"replayed": replayed, "attempts": letter.attempts}


def _counts(survey: "Survey") -> dict[str, Any]:
    def described(counts: "Counts") -> dict[str, int]:
        return {"letters": counts.n_letters, "replayed": counts.n_replayed, "newestMs": counts.newest_ms}

    return {
        **described(survey.total),
        "reasons": [
            {"reason": error, "stage": stage, **described(each)} for (error, stage), each in survey.reasons.items()
        ],
        "sources": [
            {"topic": topic, "partition": number, **described(each)} for (topic, number), each in survey.sources.items()
        ],
    }


@command(app, "show", example="lexstream dead-letters show 0:17 --save event.bin")
def show(
    cli: Cli,
    which: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As in the list.")],
    *,
    max_bytes: Annotated[int, typer.Option(help="Show at most this much of the value.", min=1)] = 4096,
    as_hex: Annotated[bool, typer.Option("--hex", help="Show the value as a hex dump even if it is text.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the exact value to a new file.")] = None,
) -> None:
    """Show everything about one dead letter; its bytes are made safe to look at."""
    from agents.cli.render.dead_letters import letter_details

    letter, replayed = cli.run(_read(cli, which))
    if save:
        _write_new(save, letter.record.value or b"")
    if cli.for_machines:
        cli.emit(_described(letter, replayed))
        return
    cli.out.print(letter_details(letter, replayed=replayed, n_bytes=max_bytes, as_hex=as_hex))
    if save:
        cli.out.print(f"\n[good]✓[/good] {letter.size:,} bytes in [name]{_escaped(save)}[/name]")


def _write_new(path: Path, value: bytes) -> None:
    from schemas.errors import InvalidInput

    try:
        with path.open("xb") as file:
            file.write(value)
    except FileExistsError:
        raise InvalidInput([f"{path} exists and stays as it is; give another name"]) from None


def _escaped(path: Path) -> str:
    from rich.markup import escape

    return escape(str(path))


async def _read(cli: Cli, which: str) -> "tuple[Letter, bool]":
    from agents.letters import read_letter
    from agents.replayed import look_up_replayed
    from schemas.errors import InvalidInput

    place = _place(which)
    async with cli.client() as client:
        if letter := await read_letter(client, *place):
            return letter, letter in await look_up_replayed(client)
    raise InvalidInput([f"there is no dead letter {which}; see `lexstream dead-letters list`"])


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if partition.isdecimal() and offset.isdecimal():
        return int(partition), int(offset)
    raise typer.BadParameter(f"{text}: expected PARTITION:OFFSET such as 0:17, the first column of the list")


@command(app, "replay", example="lexstream dead-letters replay --reason TasksFailed --since 2h")
def replay_letters(
    cli: Cli,
    *,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    source: FromSource = None,
    max_attempts: Annotated[
        int, typer.Option(help="Leave out what was replayed this often and failed each time.", min=1)
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send dead letters back to the topics and partitions they came from, each exactly once.

    It may be interrupted or killed at any time, and repeated. The exit code is 1 if there was something to send back
    and all of it had to be left out.
    """
    chosen = selection(cli, reason=reason, since=since, until=until, source=source)
    if chosen.reasons or chosen.sources:
        cli.run(survey_of(cli, chosen, n_newest=0)).require_reasons()
    report = _replayed(cli, chosen, most_attempts=max_attempts, dry_run=dry_run)
    _say(cli, report, sent=not dry_run)
    if report.refused and not report.n_letters:
        raise typer.Exit(1)


def _replayed(cli: Cli, chosen: "Selection", *, most_attempts: int, dry_run: bool) -> "Report":
    from agents.replay import Report
    from agents.replay import dry_run as only_say
    from agents.replay import replay as send

    report = Report()
    work = only_say if dry_run else partial(send, report=report)
    try:
        return cli.run(_pass_over(cli, partial(work, selection=chosen, most_attempts=most_attempts)))
    except KeyboardInterrupt:
        if not dry_run:
            cli.err.print(report.so_far, style="middling", markup=False)
        raise


async def _pass_over(cli: Cli, work: "Callable[..., Awaitable[Report]]") -> "Report":
    with reading(cli) as advanced:
        async with cli.client() as client:
            return await work(client, advanced=advanced)


def _say(cli: Cli, report: "Report", *, sent: bool) -> None:
    from agents.cli.render.dead_letters import letters_table, reasons_line

    if cli.for_machines:
        cli.emit(
            {
                "letters": report.n_letters,
                "reasons": dict(report.reasons),
                "refused": {refusal.name: count for refusal, count in report.refused.items()},
                "sent": sent,
            }
        )
        return
    if report.samples and not sent:
        cli.out.print(letters_table((letter, False) for letter in report.samples))
    done = "sent" if sent else "would be sent"
    why = reasons_line(report.reasons)
    cli.out.print(f"[good]✓[/good] {report.n_letters:,} {done}", f": {why}" if why else "", sep="")
    for line in _left_out(report):
        cli.err.print(f"! {line}", style="middling", markup=False)


def _left_out(report: "Report") -> "Iterator[str]":
    from agents.replay import Refusal

    for refusal, count in report.refused.items():
        yield f"{count:,} left out: {refusal.value}"
        if refusal is Refusal.FAILED_AGAIN:
            yield "  mend what makes them fail, then give a larger --max-attempts"
        elif refusal is Refusal.TOO_LARGE:
            yield "  raise max.message.bytes of that topic, or publish smaller documents"
