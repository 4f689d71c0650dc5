"""How everything looks: one theme, one palette, consoles that know when nobody is watching."""

import os
import sys
import zlib
from collections.abc import Callable

from rich.console import Console
from rich.theme import Theme

PLAIN_WIDTH = 120
"""Columns of output that goes to a file or a pipe, unless COLUMNS says otherwise."""

STYLES = {
    "title": "bold",
    "good": "green",
    "middling": "yellow",
    "bad": "red",
    "quiet": "dim",
    "name": "bold cyan",
    "number": "cyan",
    "place": "blue",
    "bar.full": "cyan",
    "bar.empty": "grey35",
}

PALETTE = (
    "#5fafff",
    "#ffaf5f",
    "#87d787",
    "#ff87af",
    "#d7af00",
    "#af87ff",
    "#5fd7d7",
    "#ff8787",
    "#afd75f",
    "#d787d7",
    "#87afaf",
    "#d7af87",
)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that obeys NO_COLOR and COLUMNS, and that is plain where there is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(theme=Theme(STYLES), stderr=stderr, width=width, highlight=False, soft_wrap=False)


class Palette:
    """Colours of categories: the same name has the same colour in every run, unless two of a screen would collide."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def colour(self, category: str) -> str:
        """Return the colour of ``category``."""
        if category not in self._taken:
            self._taken[category] = self._free(zlib.crc32(category.encode()) % len(PALETTE))
        return PALETTE[self._taken[category]]

    def _free(self, start: int) -> int:
        used = set(self._taken.values())
        tries = [(start + step) % len(PALETTE) for step in range(len(PALETTE))]
        return next((index for index in tries if index not in used), start)


Colours = Callable[[str], str]


def grade(value: float) -> str:
    """Return the style of a score between 0 and 1."""
    if value >= 0.8:  # noqa: PLR2004 - green, yellow and red as in most reports
        return "good"
    return "middling" if value >= 0.5 else "bad"  # noqa: PLR2004
