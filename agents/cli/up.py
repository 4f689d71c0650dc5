"""``lexstream up``: everything on this machine, supervised."""

import os
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
    workers: Annotated[int, typer.Option(help="How many workers.", min=0, max=64)] = 1,
    trainers: Annotated[int, typer.Option(help="How many trainers.", min=0, max=8)] = 1,
) -> None:
    """Run a local Kafka (unless one answers at --brokers), workers and trainers; what dies is started again.

    Until Ctrl-C, which ends all of it in order. What no restart can mend ends all of it with its exit code: 2 for a
    wrong topic or setting, 5 for too many dead letters.
    """
    from agents import supervisor
    from agents.topics import create_topics
    from schemas.errors import InvalidSettings

    if not workers + trainers:
        raise InvalidSettings(["got --workers 0 and --trainers 0, expected at least one process to run"])
    with _alone(cli, workers=workers), _kafka(cli) as beside:
        nodes = local_nodes(cli)
        cli = knowing(cli, nodes)
        made = cli.run(create_topics(cli.settings, replication=len(nodes) or None))
        cli.err.print(f"[good]✓[/good] topics of [name]{cli.settings.namespace}[/name] ({len(made)} new)")
        cli.err.print("[quiet]Ctrl-C ends everything. In another terminal: lexstream project create …")
        _log(cli)
        code = supervisor.run(children(cli, workers=workers, trainers=trainers), beside=beside)
    raise typer.Exit(code)


def local_nodes(cli: Cli) -> list[str]:
    """Return where the nodes of our home's cluster listen, the dead ones too; nothing if another Kafka is meant."""
    from agents.broker.address import parse_address
    from agents.broker.plan import kept_nodes
    from agents.cli.broker import local_broker
    from schemas.errors import InvalidInput

    if kept_nodes(cli.settings.home) < 2:  # noqa: PLR2004 - a single broker has no other addresses
        return []
    try:
        meant = {str(parse_address(address.strip())) for address in cli.settings.brokers.split(",")}
        nodes = [node.status() for node in local_broker(cli).nodes]
    except InvalidInput:  # on another machine
        return []
    is_ours = any(node.running and node.address in meant for node in nodes)
    return [node.address for node in nodes] if is_ours else []


def knowing(cli: Cli, nodes: list[str]) -> Cli:
    """Return what the processes are told: knowing one address, they could not start while that node is dead."""
    if not nodes:
        return cli
    return Cli(cli.options | {"brokers": ",".join(nodes)}, for_machines=cli.for_machines, file=cli.file)


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
    from agents.leaving import BAD_SETTINGS, TOO_MANY_DEAD_LETTERS
    from agents.supervisor import Child

    if cli.settings.log_format == "auto" and sys.stderr.isatty():
        extra["log_format"] = "text"  # its lines go through us, so it cannot see the terminal
    words = arguments({**cli.options, **extra})
    argv = [sys.executable, "-m", "agents.cli.main", what, *words]
    return Child(name, argv, {}, hopeless=frozenset({BAD_SETTINGS, TOO_MANY_DEAD_LETTERS}))


def _log(cli: Cli) -> None:
    import logging

    logging.basicConfig(level=cli.settings.log_level, format="%(asctime)s %(message)s", force=True)
    logging.getLogger("agents").setLevel(cli.settings.log_level)


@contextmanager
def _alone(cli: Cli, *, workers: int) -> "Iterator[None]":
    """Hold the home for ourselves.

    Raises:
        InvalidSettings: If another one runs there, or something listens at the metrics port that a worker would have.
    """
    import fcntl

    from schemas.errors import InvalidSettings

    home = cli.settings.home
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip()
            problem = (
                f"`lexstream up` runs already with the home {home} (process {pid}); stop it with Ctrl-C there or "
                f"`kill {pid}`, or give this one a --home, --brokers, --group and --metrics-port of its own"
            )
            raise InvalidSettings([problem]) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        if workers:
            _require_port(cli)
        yield


def _require_port(cli: Cli) -> None:
    """Look for the metrics port before anything starts: a second of us with other data would take over the workers.

    Raises:
        InvalidSettings: If somebody listens there.
    """
    from schemas.errors import InvalidSettings

    host, port = cli.settings.metrics_host, cli.settings.metrics_port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            problem = (
                f"port {port} of {host} cannot be had for /metrics ({error.strerror}); stop what listens there, "
                "perhaps another `lexstream up`, or give another --metrics-port (0: none)"
            )
            raise InvalidSettings([problem]) from None


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
    """Return whether Kafka answers. One on another machine, which we could not start, is waited for."""
    from agents.broker.address import is_elsewhere
    from agents.kafka import wait_for_broker
    from schemas.errors import Unavailable

    if is_elsewhere(cli.settings.brokers.split(",")[0].strip()):
        await wait_for_broker(cli.settings)
        return True
    try:
        await wait_for_broker(cli.settings.model_copy(update={"broker_wait_s": 0.0}))
    except Unavailable:
        return False
    return True
