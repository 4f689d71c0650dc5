"""``lexstream broker``: the local Apache Kafka."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.context import Cli, command

if TYPE_CHECKING:
    from rich.console import Console

    from agents.broker import BrokerStatus, LocalBroker, LocalCluster

app = typer.Typer(
    no_args_is_help=True, help="The local Apache Kafka: one node or three; needs neither Docker nor Java."
)


def one_or_three(nodes: int | None) -> int | None:
    """Return ``nodes``: of two, neither may die.

    Raises:
        InvalidSettings: It is another number.
    """
    from schemas.errors import InvalidSettings

    if nodes not in {None, 1, 3}:
        raise InvalidSettings([f"got --nodes {nodes}, expected 1 or 3"])
    return nodes


def local_broker(cli: Cli, *, nodes: int | None = None) -> "LocalBroker | LocalCluster":
    """Return the broker of our home at the first address of the brokers, or its cluster at the first and the next.

    Without ``nodes``, there are as many as the home has data of.
    """
    from agents.broker import LocalBroker, LocalCluster
    from agents.broker.address import following
    from agents.broker.plan import kept_nodes

    home, addresses = cli.settings.home, [address.strip() for address in cli.settings.brokers.split(",")]
    count = nodes or kept_nodes(home) or 1
    return LocalBroker(home, addresses[0]) if count == 1 else LocalCluster(home, following(addresses, count))


@command(app, "start", shown=("home",), example="lexstream broker start")
def start(
    cli: Cli,
    nodes: Annotated[
        int | None,
        typer.Option(
            callback=one_or_three,
            metavar="1|3",
            help="1, or 3 for a cluster in which any one may die (three copies, a write waits for two).",
            show_default="as many as the home has data of, else 1",
        ),
    ] = None,
) -> None:
    """Start it, and return when it answers. The first time it gets Kafka (about 100 MB).

    Three nodes listen at the first three addresses of --brokers; where it has fewer, also at the ports after the last.
    """
    status = start_broker(local_broker(cli, nodes=nodes), cli.err)
    _show(cli, status, f"Kafka {status.version} answers at {status.address}")


def start_broker(broker: "LocalBroker | LocalCluster", console: "Console") -> "BrokerStatus":
    """Start ``broker`` and show how it goes."""
    from rich.status import Status

    from agents.broker import Progress

    with Status("[quiet]starting Kafka", console=console) as status:

        def show(progress: Progress) -> None:
            count = f" {progress.done}/{progress.total}" if progress.total else ""
            status.update(f"[quiet]{progress.message}{count}")

        return broker.start(show)


@command(app, "stop", shown=("home",), example="lexstream broker stop")
def stop(cli: Cli) -> None:
    """Stop it. What is in it stays."""
    broker = local_broker(cli)
    with cli.err.status("[quiet]stopping Kafka"):
        stopped = broker.stop()
    if cli.for_machines:
        cli.emit({"stopped": stopped})
    else:
        cli.out.print("[good]✓[/good] stopped" if stopped else "it did not run", highlight=False)


@command(app, "status", shown=("home",), example="lexstream broker status")
def show_status(cli: Cli) -> None:
    """Say whether it runs; the exit code is 0 only if it does, and all nodes of a cluster."""
    status = local_broker(cli).status()
    _show(cli, status, f"Kafka {status.version} runs at {status.address}" if status.running else "")
    if not status.running:
        if not cli.for_machines:
            cli.err.print(f"lexstream: {_missing(status)}; see `lexstream broker start`")
        raise typer.Exit(1)


def _missing(status: "BrokerStatus") -> str:
    if any(node.running for node in status.nodes):
        dead = [node.address for node in status.nodes if not node.running]
        return f"{len(dead)} of {len(status.nodes)} nodes in {status.data} do not run: {', '.join(dead)}"
    return f"no local broker runs in {status.data if status.nodes else status.data.parent}"


def _show(cli: Cli, status: "BrokerStatus", words: str) -> None:
    if cli.for_machines:
        cli.emit(_json(status))
        return
    running = [node for node in status.nodes if node.running]
    if words:
        where = "" if status.nodes else f" [quiet]({_process(status)})"
        cli.out.print(f"[good]✓[/good] {words}{where}")
    for node in running:
        cli.out.print(f"  {node.address} [quiet]({_process(node)})")


def _process(status: "BrokerStatus") -> str:
    return f"process {status.pid}, log {status.log}"


def _json(status: "BrokerStatus") -> dict[str, Any]:
    found = {
        "running": status.running,
        "address": status.address,
        "pid": status.pid,
        "version": status.version,
        "data": str(status.data),
        "log": str(status.log),
    }
    return found | {"nodes": [_json(node) for node in status.nodes]} if status.nodes else found
