"""``lexstream broker``: the local Apache Kafka."""

from typing import TYPE_CHECKING, Any

import typer

from agents.cli.context import Cli, command

if TYPE_CHECKING:
    from rich.console import Console

    from agents.broker import BrokerStatus, LocalBroker

app = typer.Typer(no_args_is_help=True, help="The local Apache Kafka: one node, no Docker, no Java to install.")


def local_broker(cli: Cli) -> "LocalBroker":
    """Return the broker of our home, at the first address of the brokers."""
    from agents.broker import LocalBroker

    settings = cli.settings
    return LocalBroker(settings.home, settings.brokers.split(",")[0].strip())


@command(app, "start", shown=("home",), example="lexstream broker start")
def start(cli: Cli) -> None:
    """Start it, and return when it answers. The first time it gets Kafka (about 100 MB)."""
    status = start_broker(local_broker(cli), cli.err)
    _show(cli, status, f"Kafka {status.version} answers at {status.address}")


def start_broker(broker: "LocalBroker", console: "Console") -> "BrokerStatus":
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
    """Say whether it runs; the exit code is 0 only if it does."""
    status = local_broker(cli).status()
    _show(cli, status, f"Kafka {status.version} runs at {status.address}" if status.running else "")
    if not status.running:
        if not cli.for_machines:
            cli.err.print(f"lexstream: no local broker runs in {status.data.parent}; see `lexstream broker start`")
        raise typer.Exit(1)


def _show(cli: Cli, status: "BrokerStatus", words: str) -> None:
    if cli.for_machines:
        cli.emit(_json(status))
    elif words:
        cli.out.print(f"[good]✓[/good] {words} [quiet](process {status.pid}, log {status.log})")


def _json(status: "BrokerStatus") -> dict[str, Any]:
    return {
        "running": status.running,
        "address": status.address,
        "pid": status.pid,
        "version": status.version,
        "data": str(status.data),
        "log": str(status.log),
    }
