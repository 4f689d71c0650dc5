"""``lexstream worker`` and ``trainer``: one process each, as many as wanted."""

import typer

from agents.cli.context import RUN, Cli, command
from agents.cli.options import OF_WORKERS


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    shown = (*OF_WORKERS, "store", "schema_registry_url", "log_level", "log_format")
    command(app, "worker", shown=shown, example="lexstream worker --lane orders.created:orders.enriched", panel=RUN)(
        worker
    )
    command(
        app, "trainer", shown=("store", "group", "log_level", "log_format"), example="lexstream trainer", panel=RUN
    )(trainer)


def worker(cli: Cli) -> None:
    """Enrich documents, until Ctrl-C or SIGTERM. Start as many as there are partitions."""
    from agents.leaving import end
    from agents.worker import run_worker

    end(run_worker(cli.settings))


def trainer(cli: Cli) -> None:
    """Train models when asked to, until Ctrl-C or SIGTERM. Each trainer does one job at a time."""
    from agents.leaving import end
    from agents.trainer import run_trainer

    end(run_trainer(cli.settings))
