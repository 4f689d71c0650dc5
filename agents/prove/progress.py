"""The bar that says how many events came out, and who is being murdered."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from agents.prove.murders import Deed
from agents.prove.run import Moment, OnMoment


@contextmanager
def shown(console: Console, n_events: int) -> Iterator[OnMoment]:
    """Show a bar while a run goes on; where nobody watches, one line a murder."""
    if not console.is_terminal:
        yield partial(_say, console)
        return
    # What is done takes what room is left: three deeds at once would leave none for the bar.
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    text = TextColumn("[bad]{task.description}[/bad]", table_column=rest)
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), text)
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("", total=n_events)

        def update(moment: Moment) -> None:
            _say(progress.console, moment)
            what = moment.doing or "all live"
            progress.update(task, completed=moment.n_seen, description=f"{what} ({moment.n_murders} murders)")

        yield update


def _say(console: Console, moment: Moment) -> None:
    if moment.deed:
        console.print(f"[quiet]{sentence(moment.deed)}[/quiet]")


def sentence(deed: Deed) -> str:
    """Return what was done, and when."""
    return f"{deed.began_s:7.1f} s  {deed}"
