"""Tells the story: a sentence before each step, ticks for what worked, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from agents.cli.render.text import duration


class Narrator:
    """Numbers the steps, and knows in which one the story is."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.step = ""
        self._number = 0
        self._start_s = time.monotonic()

    @property
    def took_s(self) -> float:
        """How long the story has lasted."""
        return time.monotonic() - self._start_s

    @contextmanager
    def tell(self, title: str, sentence: str) -> Iterator[None]:
        """Announce a step, and say how long it took."""
        self._number += 1
        self.step = title
        start_s = time.monotonic()
        self.console.print(Text.assemble(("\n", ""), (f" {self._number} ", "reverse bold"), (f" {title}", "title")))
        self.console.print(Text(f"    {sentence}", "quiet"))
        yield
        self.console.print(Text(f"    took {duration(time.monotonic() - start_s)}", "quiet"))

    def done(self, words: str, *, style: str = "") -> None:
        """Say that something worked."""
        self.console.print(Text.assemble(("    ✓ ", "good"), (words, style)))

    def summary(self, title: str, lines: list[Text]) -> None:
        """Show the last page."""
        if self.console.is_terminal:
            self.console.print(Panel(Text("\n").join(lines), title=title, border_style="good", padding=(1, 2)))
            return
        self.console.print(f"\n{title}")
        for line in lines:
            self.console.print(line)

    def failed(self, reason: str, tails: list[tuple[str, str]]) -> None:
        """Say which step failed, why, and what the logs say."""
        for name, tail in tails:
            self.console.print(f"--- the end of {name}", style="quiet", markup=False)
            self.console.print(tail, markup=False, soft_wrap=True)
        self.console.print(f"The demo failed at “{self.step}”: {reason}", style="bad", markup=False)
