"""Handing in a command and showing what becomes of it, with a bar where there is progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from agents.cli.context import Cli
from agents.cli.render.text import duration
from agents.client import Client
from schemas.commands import Command, Evaluate, Train
from schemas.control_events import ControlEvent, EventType
from schemas.errors import InvalidInput

BAD_ENDS = {EventType.REJECTED, EventType.FAILED, EventType.CANCELLED}
_STEP = 0.1


class Watcher(Protocol):
    """Shows the events of a command while it runs."""

    def show(self, event: ControlEvent) -> None:
        """Show ``event``."""


class Lines:
    """One line for each stage and each tenth, where there is no terminal."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._last = ("", -1)

    def show(self, event: ControlEvent) -> None:
        """Print a line if there is something new."""
        if event.event is not EventType.PROGRESS:
            return
        step = (str(event.details.get("stage", "")), int(fraction_of(event) / _STEP))
        if step != self._last:
            self._last = step
            self._console.print(f"{self._title}: {fraction_of(event):.0%} {progress_words(event)}", markup=False)


class Bar:
    """A progress bar on a terminal."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=1.0, words="waits for a worker")

    def show(self, event: ControlEvent) -> None:
        """Move the bar."""
        if event.event is EventType.ACCEPTED:
            self._progress.update(self._task, words="accepted")
        elif event.event is EventType.PROGRESS:
            self._progress.update(self._task, completed=fraction_of(event), words=progress_words(event))


def fraction_of(event: ControlEvent) -> float:
    """Return how much of a job is done."""
    return float(event.details.get("fraction") or 0.0)


def progress_words(event: ControlEvent) -> str:
    """Return stage, epoch, loss, score and the time left, as far as they are known."""
    details = event.details
    words = [str(details.get("stage", ""))]
    if details.get("epoch") is not None:
        words.append(f"epoch {details['epoch']}")
    words += [f"{name} {details[name]:.3f}" for name in ("loss", "score") if isinstance(details.get(name), float)]
    if details.get("remainingS") is not None:
        words.append(f"{duration(float(details['remainingS']))} left")
    return ", ".join(filter(None, words))


@contextmanager
def watching(console: Console, title: str) -> Iterator[Watcher]:
    """Return what shows progress on ``console``: a bar on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield Lines(console, title)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("[quiet]{task.fields[words]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, title)


async def perform(
    cli: Cli, client: Client, command: Command, *, accepted: Callable[[], None] = lambda: None
) -> list[ControlEvent]:
    """Hand in ``command``, show what happens, and return the events it succeeded with.

    Args:
        cli: Where to show it.
        client: Hands it in.
        command: The command.
        accepted: Called when the waiting begins, for people.

    Raises:
        InvalidInput: If it was rejected, failed or was cancelled; with everything that is wrong.
    """
    ends: list[ControlEvent] = []
    with watching(cli.err, describe_command(command)) as watcher:
        async for event in client.command(command):
            if cli.for_machines:
                cli.emit(event.payload())
            else:
                watcher.show(event)
                if event.event is EventType.ACCEPTED:
                    accepted()
            if event.event in BAD_ENDS:
                raise InvalidInput(problems_of(event))
            if event.event is EventType.SUCCEEDED:
                ends.append(event)
    return ends


def problems_of(event: ControlEvent) -> list[str]:
    """Return everything that is wrong, as a rejected, failed or cancelled event tells it."""
    problems = [str(problem) for problem in event.details.get("problems", [])]
    if len(problems) == 1:
        return [f"{event.event.value}: {problems[0]}"]
    if event.event is EventType.CANCELLED and not problems:
        return [f"cancelled: job {event.details.get('jobId', event.command_id)} was told to end"]
    return problems or [f"{event.event.value}; the worker or trainer gave no reason"]


def describe_command(command: Command) -> str:
    """Return what a command is about, for the bar."""
    match command.parameters:
        case Train(model_label=label) | Evaluate(model_label=label):
            return f"{command.command} {command.project}/{label}"
        case _:
            return f"{command.command} {command.project}"


def perform_one(cli: Cli, command: Command) -> list[ControlEvent]:
    """Do all of ``perform`` with a client of its own."""

    async def work() -> list[ControlEvent]:
        async with cli.client() as client:
            return await perform(cli, client, command)

    return cli.run(work())


def do(cli: Cli, command: Command, *, done: str) -> None:
    """Hand in ``command``, wait for its end, and say ``done``."""
    perform_one(cli, command)
    if not cli.for_machines:
        cli.out.print(f"[good]✓[/good] {done}")
