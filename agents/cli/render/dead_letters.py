"""Dead letters: a table of many, everything about one, and counts by reason and source."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agents.cli.render.content import content, hexdump, printable
from agents.cli.render.records import table
from agents.cli.render.text import bar, counted, moment, safe, shorten
from schemas.dead_letters import DeadLetter, original_headers, replay_attempts
from schemas.errors import DecodeError

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from agents.letters import Letter
    from agents.survey import Counts, Survey

_NAME_CHARS = 300
_MESSAGE_CHARS = 150
_PREVIEW_CHARS = 160
_FOLDED_CHARS = 40
"""Where a letter came from stays on one line up to so many characters; longer names of topics are folded."""
_HEADER_CHARS = 200
_MOST_HEADERS = 50
_MOST_ROWS = 15
_SHARE_CELLS = 8


def letters_table(letters: "Iterable[tuple[Letter, bool]]") -> Table:
    """Return one row for each letter and whether it was replayed; the first column is what ``show`` takes.

    Times and stages stand below what they belong to, and replays have a column only where there were any: so the
    message has some room even on a narrow terminal.
    """
    rows = list(letters)
    states = [_replays(letter.attempts, replayed=replayed) for letter, replayed in rows]
    any_state = any(state.plain for state in states)
    made = table("which", "came from, when", "reason, stage", *(["replayed"] if any_state else []), "message")
    _keep_whole(made, "which", "came from, when", "reason, stage")
    for (letter, _), state in zip(rows, states, strict=True):
        record, facts = letter.record, letter.facts
        made.add_row(
            Text(f"{record.partition}:{record.offset}", "name"),
            Text.assemble((_folded(_came_from(facts)), "place"), "\n", (_moment(record.timestamp), "quiet")),
            Text.assemble((_folded(_name(facts.error)), "bad"), "\n", (_folded(_name(facts.stage)), "quiet")),
            *([state] if any_state else []),
            Text(safe(shorten(facts.message, _MESSAGE_CHARS))),
        )
    return made


def _keep_whole(made: Table, *columns: str) -> None:
    """Let the others shrink where there is little room, and cut none: people give these words to the next command."""
    for column in made.columns:
        column.no_wrap = column.header in columns
        column.overflow = "fold"


def _folded(name: str) -> str:
    return "\n".join(name[at : at + _FOLDED_CHARS] for at in range(0, len(name), _FOLDED_CHARS))


def _replays(attempts: int, *, replayed: bool) -> Text:
    failed = _failed_again(attempts)
    if replayed:
        return Text.assemble(("✓ ", "good"), (failed, "quiet"))
    return Text(failed, "middling")


def _failed_again(attempts: int) -> str:
    return f"failed again, replay {attempts}" if attempts else ""


def counts_tables(survey: "Survey") -> Group:
    """Return how many letters there are, by reason and by where they came from."""
    total = survey.total
    words = counted(total.n_letters, "dead letter")
    replayed = f", {total.n_replayed:,} of them replayed" if total.n_replayed else ""
    by_reason = {f"{error} ({stage})": counts for (error, stage), counts in survey.reasons.items()}
    by_source = {f"{topic}/{partition}": counts for (topic, partition), counts in survey.sources.items()}
    tables = [_counts_table("reason", by_reason), _counts_table("came from", by_source)] if by_reason else []
    return Group(*tables, Text.assemble((words, "title"), replayed))


def _counts_table(name: str, counts: "Mapping[str, Counts]") -> Table:
    ranked = sorted(counts.items(), key=lambda each: -each[1].n_letters)
    total = sum(each.n_letters for each in counts.values())
    any_replayed = any(each.n_replayed for each in counts.values())
    made = table(name, "#letters", *(["#replayed"] if any_replayed else []), "share", "newest")
    _keep_whole(made, name, "newest")
    for label, each in ranked[:_MOST_ROWS]:
        what = Text(_folded(_name(label)), "bad")
        share = bar(each.n_letters / total, width=_SHARE_CELLS)
        replayed = [f"{each.n_replayed:,}" if each.n_replayed else ""] if any_replayed else []
        made.add_row(what, f"{each.n_letters:,}", *replayed, share, _moment(each.newest_ms))
    if rest := ranked[_MOST_ROWS:]:
        n_letters, n_replayed = sum(e.n_letters for _, e in rest), sum(e.n_replayed for _, e in rest)
        replayed = [f"{n_replayed:,}"] if any_replayed else []
        made.add_row(Text(f"and {len(rest):,} more", "quiet"), f"{n_letters:,}", *replayed, "", "")
    return made


def reasons_line(reasons: Counter[str]) -> str:
    """Return how many there are of each reason."""
    return ", ".join(f"{count:,} {_name(reason)}" for reason, count in reasons.most_common(_MOST_ROWS))


def letter_lines(record: "ConsumerRecord") -> Group:
    """Return a short view of one dead letter, or of what calls itself one."""
    try:
        facts = DeadLetter.from_headers(record.headers)
    except DecodeError as error:
        return Group(Text.assemble(("✗ ", "bad"), (key_text(record), "title"), f"  {safe(str(error))}"))
    again = replay_attempts(record.headers)
    head = Text.assemble(
        ("✗ ", "bad"),
        (key_text(record), "title"),
        (f"  {_came_from(facts)}", "quiet"),
        (f"  {_failed_again(again)}" if again else "", "middling"),
    )
    why = Text.assemble("  ", (f"{_name(facts.error)} ({_name(facts.stage)}): ", "bad"), safe(facts.message))
    return Group(head, why, Text(f"  {printable(record.value, _PREVIEW_CHARS)}", "quiet"))


def letter_details(letter: "Letter", *, replayed: bool, n_bytes: int, as_hex: bool) -> Group:
    """Return everything about one dead letter; nothing of it can do anything to the terminal.

    Args:
        letter: With its value.
        replayed: Whether it was sent back.
        n_bytes: Show so much of the value.
        as_hex: Show it as a hex dump, even if it is text.
    """
    record, facts = letter.record, letter.facts
    rows = [
        ("key", key_text(record)),
        ("came from", _came_from(facts)),
        ("published", _moment(facts.timestamp_ms)),
        ("failed", _moment(record.timestamp)),
        ("stage", _name(facts.stage)),
        ("reason", _name(facts.error)),
        ("message", safe(facts.message)),
        (
            "attempts",
            _failed_again(letter.attempts) or "no replay failed",
        ),
        ("sent back", "yes" if replayed else "no"),
        *_header_rows(original_headers(record.headers)),
    ]
    lines = [Text.assemble((f"{name:<12} ", "quiet"), value) for name, value in rows]
    return Group(*lines, Text(), _size(letter.size, n_bytes), _value(record.value, n_bytes, as_hex=as_hex))


def _header_rows(headers: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    rows = [
        (f"header {printable(name.encode(errors='backslashreplace'), _NAME_CHARS)}", printable(value, _HEADER_CHARS))
        for name, value in headers[:_MOST_HEADERS]
    ]
    more = len(headers) - _MOST_HEADERS
    return [*rows, ("headers", f"and {more:,} more; --json has them all")] if more > 0 else rows


def _size(size: int, n_bytes: int) -> Text:
    cut = f", the first {n_bytes:,} here; --save FILE writes all of them" if size > n_bytes else ""
    return Text(f"{counted(size, 'byte')}{cut}", "quiet")


def _value(value: bytes | None, n_bytes: int, *, as_hex: bool) -> Text:
    return Text(hexdump(value[:n_bytes]) if as_hex and value else content(value, n_bytes), overflow="fold")


def key_text(record: "ConsumerRecord") -> str:
    """Return the key, or that there is none."""
    return "(no key)" if record.key is None else printable(record.key, _NAME_CHARS)


def _came_from(facts: DeadLetter) -> str:
    return _name(f"{facts.topic}/{facts.partition}@{facts.offset}")


def _name(text: str) -> str:
    # Of our own letters these are harmless; but whoever may write to the topic may have written anything.
    return safe(shorten(text, _NAME_CHARS))


def _moment(ms: int) -> str:
    try:
        return moment(datetime.fromtimestamp(ms / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
