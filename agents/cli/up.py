"""``lexstream up``: everything on this machine, supervised."""

import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.context import RUN, Cli, command
from agents.cli.options import OF_WORKERS, arguments

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from agents.supervisor import Child


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(
        app, "up", shown=("home", "store", *OF_WORKERS, "log_level", "log_format"), example="lexstream up", panel=RUN
    )(up)


def up(
    cli: Cli,
    workers: Annotated[int, typer.Option(help="How many workers.", min=1, max=64)] = 1,
    trainers: Annotated[int, typer.Option(help="How many trainers.", min=0, max=8)] = 1,
) -> None:
    """Run a local Kafka (unless one answers at --brokers), workers and trainers; what dies is started again.

    Until Ctrl-C, which ends all of it in order.
    """
    from agents import supervisor
    from agents.topics import create_topics

    with _kafka(cli) as beside:
        made = cli.run(create_topics(cli.settings))
        cli.err.print(f"[good]✓[/good] topics of [name]{cli.settings.namespace}[/name] ({len(made)} new)")
        cli.err.print("[quiet]Ctrl-C ends everything. In another terminal: lexstream project create …")
        _log(cli)
        code = supervisor.run(children(cli, workers=workers, trainers=trainers), beside=beside)
    raise typer.Exit(code)


def children(cli: Cli, *, workers: int, trainers: int) -> "list[Child]":
    """Return the processes to keep running. Workers keep their names over restarts, so that recovery is quick."""
    made = [_worker(cli, number) for number in range(1, workers + 1)]
    return made + [_trainer(cli, number) for number in range(1, trainers + 1)]


def _worker(cli: Cli, number: int) -> "Child":
    extra = _name(cli, number)
    if number > 1:
        extra["metrics_port"] = 0  # only one of them can have the port
    return _child(cli, "worker", f"worker-{number}", extra)


def _trainer(cli: Cli, number: int) -> "Child":
    return _child(cli, "trainer", f"trainer-{number}", _name(cli, number))


def _name(cli: Cli, number: int) -> dict[str, object]:
    if "group_instance_id" in cli.options and number == 1:
        return {}
    return {"group_instance_id": f"{cli.settings.group_instance_id or socket.gethostname()}-{number}"}


def _child(cli: Cli, what: str, name: str, extra: dict[str, object]) -> "Child":
    from agents.supervisor import Child

    words = arguments({**cli.options, **extra})
    return Child(name, [sys.executable, "-m", "agents.cli.main", what, *words], {})


def _log(cli: Cli) -> None:
    import logging

    logging.basicConfig(level=cli.settings.log_level, format="%(asctime)s %(message)s", force=True)
    logging.getLogger("agents").setLevel(cli.settings.log_level)


@contextmanager
def _kafka(cli: Cli) -> "Iterator[list[Coroutine[Any, Any, None]]]":
    """Make sure that Kafka answers; what was started here is stopped here."""
    if cli.run(_answers(cli)):
        cli.err.print(f"[good]✓[/good] Kafka answers at [name]{cli.settings.brokers}[/name]")
        yield []
        return
    from agents.broker.keeper import keep_running
    from agents.cli.broker import local_broker, start_broker

    broker = local_broker(cli)
    status = start_broker(broker, cli.err)
    cli.err.print(f"[good]✓[/good] Kafka {status.version} at [name]{status.address}[/name]")
    try:
        yield [keep_running(broker)]
    finally:
        broker.stop()


async def _answers(cli: Cli) -> bool:
    from agents.kafka import wait_for_broker
    from schemas.errors import Unavailable

    try:
        await wait_for_broker(cli.settings.model_copy(update={"broker_wait_s": 0.0}))
    except Unavailable:
        return False
    return True
