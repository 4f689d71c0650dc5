"""``lexstream dead-letters``: events that could not be enriched."""

from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.replay import Letter

app = typer.Typer(cls=ListByDefault, help="Dead letters: events that could not be enriched, and why.")
Reason = Annotated[
    list[str] | None, typer.Option(help="Only these: a reason such as DecodeError, or a stage such as decode.")
]


async def _read(cli: Cli) -> "list[Letter]":
    from agents.replay import read_letters

    async with cli.client() as client:
        return await read_letters(client)


async def _with_values(cli: Cli, letters: "list[Letter]") -> "list[Letter]":
    from agents.replay import with_values

    whole = await with_values(cli.settings, letters)
    return sorted(whole, key=lambda letter: letter.record.timestamp)


def _of_reasons(letters: "list[Letter]", reasons: list[str] | None) -> "list[Letter]":
    from agents.replay import waiting

    require_reasons(letters, reasons or [])
    return waiting(letters, {}, reasons=reasons or [])


def require_reasons(letters: "Iterable[Letter]", reasons: "Iterable[str]") -> None:
    """Refuse reasons that no letter has.

    Raises:
        InvalidInput: With each of them, and the reasons and stages that there are.
    """
    from collections import Counter

    from schemas.errors import InvalidInput

    counts = Counter((letter.facts.error, letter.facts.stage) for letter in letters)
    known = {word for pair in counts for word in pair}
    there = ", ".join(f"{error} ({stage}, {count:,})" for (error, stage), count in counts.most_common())
    expected = f"expected one of: {there}" if there else "there are no dead letters at all"
    if problems := [
        f"--reason {reason}: no dead letter has it; {expected}" for reason in reasons if reason not in known
    ]:
        raise InvalidInput(problems)


@command(app, "list", example="lexstream dead-letters list --reason DecodeError")
def list_letters(
    cli: Cli,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Show at most this many, the newest.", min=1)] = 50,
) -> None:
    """List the dead letters, the newest last, and count them by reason."""
    from agents.cli.render.dead_letters import letters_table, reasons_line
    from agents.cli.render.stream import describe_record

    letters = _of_reasons(cli.run(_read(cli)), reason)
    newest = sorted(letters, key=lambda letter: letter.record.timestamp)[-limit:]
    if cli.for_machines:
        cli.emit([describe_record(letter.record) for letter in cli.run(_with_values(cli, newest))])
        return
    if newest:
        cli.out.print(letters_table((letter.record, letter.facts) for letter in newest))
    cli.out.print(reasons_line(letter.facts for letter in letters))


@command(app, "show", example="lexstream dead-letters show 0:17")
def show(cli: Cli, which: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As in the list.")]) -> None:
    """Show everything about one dead letter; its bytes are made safe to look at."""
    from agents.cli.render.dead_letters import letter_details
    from agents.cli.render.stream import describe_record
    from schemas.errors import InvalidInput

    place = _place(which)
    chosen = [each for each in cli.run(_read(cli)) if (each.record.partition, each.record.offset) == place]
    if chosen:
        for letter in cli.run(_with_values(cli, chosen)):
            if cli.for_machines:
                cli.emit(describe_record(letter.record))
            else:
                cli.out.print(letter_details(letter.record))
            return
    raise InvalidInput([f"there is no dead letter {which}; see `lexstream dead-letters list`"])


def _place(text: str) -> tuple[int, int]:
    from schemas.errors import InvalidInput

    partition, _, offset = text.partition(":")
    if partition.isdecimal() and offset.isdecimal():
        return int(partition), int(offset)
    raise InvalidInput([f"{text}: expected PARTITION:OFFSET such as 0:17, the first column of the list"])


@command(app, "replay", example="lexstream dead-letters replay --reason TasksFailed")
def replay_letters(
    cli: Cli,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send dead letters back to the topics and partitions they came from, each exactly once."""
    reasons = reason or []
    letters = cli.run(_would_send(cli, reasons)) if dry_run else cli.run(_send(cli, reasons))
    _say(cli, letters, done="would be sent" if dry_run else "sent")


async def _would_send(cli: Cli, reasons: list[str]) -> "list[Letter]":
    from agents.replay import read_letters, read_replayed, waiting

    async with cli.client() as client:
        letters = await read_letters(client)
        require_reasons(letters, reasons)
        return waiting(letters, await read_replayed(cli.settings), reasons=reasons)


async def _send(cli: Cli, reasons: list[str]) -> "list[Letter]":
    from agents.replay import read_letters, replay

    with cli.err.status("[quiet]replaying") as status:
        total = 0

        def sent(count: int) -> None:
            nonlocal total
            total += count
            status.update(f"[quiet]replayed {total:,}")

        async with cli.client() as client:
            if reasons:
                require_reasons(await read_letters(client), reasons)
            return await replay(client, reasons=reasons, sent=sent)


def _say(cli: Cli, letters: "list[Letter]", *, done: str) -> None:
    from collections import Counter

    from agents.cli.render.dead_letters import letters_table

    counts = Counter(letter.facts.error for letter in letters)
    if cli.for_machines:
        cli.emit({"letters": len(letters), "reasons": dict(counts), "sent": done == "sent"})
        return
    if letters and done != "sent":
        cli.out.print(letters_table((letter.record, letter.facts) for letter in letters[:50]))
    words = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
    cli.out.print(f"[good]✓[/good] {len(letters):,} {done}{': ' + words if words else ''}")
