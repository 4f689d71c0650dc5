"""Dead letters: a table of many, everything about one, and counts by reason."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agents.cli.render.records import table
from agents.cli.render.text import moment, safe, shorten
from schemas.dead_letters import DeadLetter, original_headers

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

_SHOWN_CHARS = 4000
_PREVIEW_CHARS = 160


def letters_table(letters: Iterable[tuple["ConsumerRecord", DeadLetter]]) -> Table:
    """Return one row for each dead letter; the first column is what ``show`` takes."""
    made = table("which", "time", "came from", "stage", "reason", "message")
    for record, letter in letters:
        made.add_row(
            Text(f"{record.partition}:{record.offset}", "name"),
            moment(datetime.fromtimestamp(record.timestamp / 1000, UTC)),
            Text(f"{letter.topic}/{letter.partition}@{letter.offset}", "place"),
            letter.stage,
            Text(letter.error, "bad"),
            safe(shorten(letter.message, 200)),
        )
    return made


def reasons_line(letters: Iterable[DeadLetter]) -> Text:
    """Return how many there are of each reason."""
    counts = Counter(letter.error for letter in letters)
    words = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
    return Text.assemble((f"{counts.total():,} in all: ", "title"), words) if counts else Text("none", "quiet")


def letter_lines(record: "ConsumerRecord") -> Group:
    """Return a short view of one dead letter."""
    letter = DeadLetter.from_headers(record.headers)
    head = Text.assemble(
        ("✗ ", "bad"),
        (key_text(record), "title"),
        (f"  {letter.topic}/{letter.partition}@{letter.offset}", "quiet"),
    )
    why = Text.assemble(("  ", ""), (f"{letter.error} ({letter.stage}): ", "bad"), safe(letter.message))
    return Group(head, why, Text(f"  {printable(record.value, _PREVIEW_CHARS)}", "quiet"))


def letter_details(record: "ConsumerRecord") -> Group:
    """Return everything about one dead letter; its bytes cannot do anything to the terminal."""
    letter = DeadLetter.from_headers(record.headers)
    rows = {
        "key": key_text(record),
        "came from": f"{letter.topic}/{letter.partition}@{letter.offset}",
        "written": moment(datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC)),
        "stage": letter.stage,
        "reason": letter.error,
        "message": safe(letter.message),
        **{f"header {safe(name)}": printable(value, 200) for name, value in original_headers(record.headers)},
    }
    lines = [Text.assemble((f"{name:<12} ", "quiet"), value) for name, value in rows.items()]
    size = 0 if record.value is None else len(record.value)
    return Group(*lines, Text(f"\n{size:,} bytes", "quiet"), Text(printable(record.value, _SHOWN_CHARS)))


def key_text(record: "ConsumerRecord") -> str:
    """Return the key, or that there is none."""
    return "(no key)" if record.key is None else printable(record.key, 100)


def printable(value: bytes | None, n_chars: int) -> str:
    r"""Return bytes as text that is safe to show: what is no UTF-8 or not visible comes as ``\x..``."""
    if value is None:
        return "(null)"
    text = value[: n_chars * 4].decode("utf-8", "backslashreplace")
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shorten(visible, n_chars) if visible else "(empty)"
