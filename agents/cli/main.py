"""The entry point ``lexstream``."""

import sys
from collections.abc import Callable, Sequence
from functools import cache

import typer
import typer.main

from agents.cli import (
    analyze,
    bench,
    broker,
    dead_letters,
    demo,
    deployments,
    jobs,
    labels,
    models,
    processes,
    project,
    prove,
    publish,
    routes,
    settings,
    topics,
    train,
    up,
    watch,
)
from agents.cli.context import DOCUMENTS, RUN, SERVE, TEACH, root_callback
from agents.cli.errors import INTERRUPTED, exit_codes
from agents.cli.helping import tidy

HELP = """Custom entities and classes on a Kafka stream: documents in, enriched events out.

Start with [bold]lexstream demo[/bold], or with [bold]lexstream up[/bold] and a project of your own.

Settings come from the environment (LEXSTREAM_…), lexstream.toml and options, in this rising order; options may stand
before or after the command. [bold]lexstream settings --help[/bold] lists all of them.
"""


def make_app() -> typer.Typer:
    """Return the program with all its commands, in the order in which people meet them."""
    app = typer.Typer(
        name="lexstream",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=HELP)(root_callback())
    for noun in (demo, bench, prove, up, processes, train, deployments, publish, watch, analyze, settings):
        noun.register(app)
    for name, group, panel in (
        ("broker", broker.app, RUN),
        ("topics", topics.app, RUN),
        ("project", project.app, TEACH),
        ("labels", labels.app, TEACH),
        ("jobs", jobs.app, TEACH),
        ("models", models.app, TEACH),
        ("deployments", deployments.app, SERVE),
        ("routes", routes.app, SERVE),
        ("dead-letters", dead_letters.app, DOCUMENTS),
    ):
        app.add_typer(group, name=name, rich_help_panel=panel)
    return app


@cache
def program() -> Callable[..., object]:
    """Return what runs a command line."""
    command = typer.main.get_command(make_app())
    tidy(command)
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code."""
    try:
        with exit_codes():
            code = program()(args=list(arguments), prog_name="lexstream", standalone_mode=False)
            if code == INTERRUPTED:  # what Typer makes of Ctrl-C, without a word
                raise KeyboardInterrupt
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
