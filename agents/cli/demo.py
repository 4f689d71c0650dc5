"""``lexstream demo``: the whole story on this machine."""

import typer

from agents.cli.context import RUN, Cli, command


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "demo", shown=("home",), example="lexstream demo", panel=RUN)(demo)


def demo(cli: Cli) -> None:
    """Show the whole story in three minutes: broker, labels, training, deployment, documents in, enriched events out.

    It runs beside everything else: a Kafka of its own on a free port, in a temporary folder that is gone afterwards.
    """
    from agents.demo.story import tell

    raise typer.Exit(tell(cli))
