"""The bar that says what is being measured, how far the run is, and how long it will still take."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from agents.bench.timetable import OnStep, Sizes, Step, timetable

_TICK_S: Final = 0.25


class Pace:
    """How far a run is, by the seconds that its steps were expected to take."""

    def __init__(self, total_s: float) -> None:
        """Begin a run that is expected to take ``total_s``."""
        self._total_s = total_s
        self._done_s = 0.0
        self._step = Step("", 0.0)
        self._since = 0.0

    def begin(self, step: Step, now: float) -> None:
        """Note that a step begins, and so that the one before is done."""
        self._done_s += self._step.seconds
        self._step, self._since = step, now

    def fraction(self, now: float) -> float:
        """Return how far the run is, from 0 to 1; a step that takes too long stands still at its end."""
        within = min(now - self._since, self._step.seconds)
        return min((self._done_s + within) / self._total_s, 1.0)

    def left_s(self, now: float) -> float:
        """Return about how many seconds are left."""
        return self._total_s * (1.0 - self.fraction(now))


@contextmanager
def shown(console: Console, sizes: Sizes) -> Iterator[OnStep]:
    """Show a bar while a run goes on; where nobody watches, one line a step."""
    if not console.is_terminal:
        yield lambda step: console.print(f"[quiet]{step.name}[/quiet]")
        return
    pace = Pace(sum(step.seconds for step in timetable(sizes)))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %, {task.fields[left]}"),
    )
    ended = threading.Event()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=1.0, left="")
        ticker = threading.Thread(target=_tick, args=(progress, task, pace, ended), daemon=True)
        ticker.start()

        def begin(step: Step) -> None:
            pace.begin(step, time.monotonic())
            progress.update(task, description=step.name)

        try:
            yield begin
        finally:
            ended.set()
            ticker.join()


def _tick(progress: Progress, task: TaskID, pace: Pace, ended: threading.Event) -> None:
    while not ended.wait(_TICK_S):
        now = time.monotonic()
        progress.update(task, completed=pace.fraction(now), left=f"about {pace.left_s(now):.0f} s left")
