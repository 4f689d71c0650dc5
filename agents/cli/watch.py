"""``lexstream watch`` and ``events``: what comes out, as it comes."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import DOCUMENTS, Cli, command
from agents.cli.pipes import nobody_reads

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord
    from rich.console import RenderableType

    from agents.cli.render.tally import Tally
    from agents.client import Client

Shown = Callable[["ConsumerRecord"], "RenderableType | None"]
Count = Annotated[int | None, typer.Option(help="End after this many.", min=1)]
Timeout = Annotated[float | None, typer.Option(help="End after this many seconds; with --count an error.", min=0)]
FromBeginning = Annotated[bool, typer.Option("--from-beginning", help="Show what is there already, too.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    command(
        app,
        "watch",
        shown=("schema_registry_url",),
        example="lexstream watch --from-beginning --count 5",
        panel=DOCUMENTS,
    )(watch)
    command(app, "events", example="lexstream events --project loans", panel=DOCUMENTS)(events)


def watch(
    cli: Cli,
    topic: Annotated[
        list[str] | None, typer.Option(help="enriched (default), replies, dead-letters, routes.NAME, or any in full.")
    ] = None,
    from_beginning: FromBeginning = False,
    count: Count = None,
    timeout: Timeout = None,
) -> None:
    """Show enriched documents as they come: entities in the text, classes with their confidence, who answered.

    Dead letters are counted meanwhile by their reasons; --topic dead-letters shows them.
    """
    from agents.cli.render.stream import RecordView
    from agents.cli.render.tally import Tally
    from agents.cli.topics import full_name

    topics = [full_name(cli.settings.topics, name) for name in topic or ["enriched"]]
    view = RecordView(cli.settings, plain=not cli.out.is_terminal)
    limits = Limits(count, timeout)
    if cli.for_machines:
        cli.run(_watch(cli, topics, lambda record: cli.emit(view.raw(record)), limits, from_beginning=from_beginning))
        return
    beside = [] if topic else [cli.settings.topics.dead_letters]
    tally = Tally()

    def show(record: "ConsumerRecord") -> None:
        tally.take(record)
        if record.topic in topics:
            cli.out.print(view.show(record))
        else:
            limits.seen -= 1

    try:
        cli.run(_watch(cli, topics, show, limits, from_beginning=from_beginning, beside=beside, tally=tally))
    finally:
        if tally.n_records:
            cli.err.print(str(tally), style="quiet", markup=False)


class Limits:
    """When to stop."""

    def __init__(self, count: int | None, timeout_s: float | None) -> None:
        self.count = count
        self._end = None if timeout_s is None else time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self.seen = 0

    @property
    def reached(self) -> bool:
        """Whether enough was seen."""
        return self.count is not None and self.seen >= self.count

    @property
    def expired(self) -> bool:
        """Whether the time is over.

        Raises:
            Unavailable: If it is over and fewer came than were asked for.
        """
        if self._end is None or time.monotonic() < self._end:
            return False
        if self.count is None:
            return True
        from schemas.errors import Unavailable

        raise Unavailable(f"{self.seen} of {self.count} came within {self._timeout_s:g} s")


async def _watch(
    cli: Cli,
    topics: list[str],
    show: Callable[["ConsumerRecord"], None],
    limits: Limits,
    *,
    from_beginning: bool,
    beside: Sequence[str] = (),
    tally: "Tally | None" = None,
) -> None:
    """Follow ``topics``, and of those ``beside`` them what we are allowed to see."""
    from rich.text import Text

    status = cli.err.status(f"[quiet]waiting for {', '.join(topics)} (Ctrl-C ends)")

    def show_and_count(record: "ConsumerRecord") -> None:
        show(record)
        if tally:
            status.update(Text(f"{tally} (Ctrl-C ends)", "quiet"))

    async with cli.client() as client:
        await client.require_topics(topics)
        read = [*topics, *[each for each in beside if await _seen(cli, client, each)]]
        if cli.err.is_terminal and not cli.for_machines:
            status.start()
        try:
            await _follow(client, read, show_and_count, limits, from_beginning=from_beginning)
        finally:
            status.stop()


async def _seen(cli: Cli, client: "Client", topic: str) -> bool:
    """Return whether we can see a topic that we could do without; if not, say so."""
    from schemas.errors import InvalidInput

    try:
        await client.require_topics([topic])
    except InvalidInput as error:
        cli.err.print(f"left out: {error}", style="quiet", markup=False)
        return False
    return True


async def _follow(
    client: "Client",
    topics: list[str],
    show: Callable[["ConsumerRecord"], None],
    limits: Limits,
    *,
    from_beginning: bool,
) -> None:
    async with client.follow(topics, from_beginning=from_beginning) as follower:
        while not limits.expired:
            if nobody_reads():
                raise BrokenPipeError
            for record in await follower.poll():
                show(record)
                limits.seen += 1
                if limits.reached:
                    return


def events(
    cli: Cli,
    project: Annotated[str | None, typer.Option(help="Only this project's.")] = None,
    from_beginning: FromBeginning = False,
    count: Count = None,
    timeout: Timeout = None,
) -> None:
    """Follow what happens: commands accepted and rejected, training progress, models deployed and switched."""
    from agents.cli.render.events import event_line
    from agents.client import read_event

    limits = Limits(count, timeout)

    def show(record: "ConsumerRecord") -> None:
        event = read_event(record)
        if event is None or (project is not None and event.project != project):
            limits.seen -= 1
        elif cli.for_machines:
            cli.emit(event.payload())
        else:
            cli.out.print(event_line(event))

    cli.run(_watch(cli, [cli.settings.topics.control_events], show, limits, from_beginning=from_beginning))
