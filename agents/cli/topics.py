"""``lexstream topics``: make them, and check that they are as they must be."""

from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import Cli, command
from schemas.topics import Topics

if TYPE_CHECKING:
    from agents.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The topics: make them, and check that they are as they must be.")

_OURS = ("documents", "enriched", "requests", "replies", "dead-letters", "control", "control-events", "registry")


def full_name(topics: Topics, name: str) -> str:
    """Return the topic that ``name`` means: the ends of our own topics' names are enough."""
    if name in (*_OURS, "labels", "jobs", "replays") or name.startswith("routes."):
        return f"{topics.namespace}.{name}"
    return name


def input_topic(settings: "Settings", name: str) -> str:
    """Return the topic that ``name`` means, where documents may go: an input of a lane, or a topic that is not ours.

    Raises:
        BadParameter: If it is one of ours that is no input: a document there would be read as something else, or as
            an answer that nobody gave.
    """
    from agents.topics import expected_topics

    topics = settings.topics
    found = full_name(topics, name)
    inputs = [lane.input for lane in settings.all_lanes]
    ours = {topics.replays, *(spec.name for spec in expected_topics(settings))}
    if found not in inputs and (found in ours or topics.route_name(found) is not None):
        expected = f"an input of a lane ({', '.join(sorted(inputs))}), or a topic that is not ours"
        raise typer.BadParameter(f"--topic {name}: {found} is no input, expected {expected}")
    return found


@command(app, "create", shown=("lanes", "max_message_bytes"), example="lexstream topics create --partitions 8")
def create(
    cli: Cli,
    partitions: Annotated[int, typer.Option(help="Of inputs and outputs: the most workers at once.", min=1)] = 4,
    replication: Annotated[
        int | None,
        typer.Option(
            help="How many brokers keep each partition; from 3 on, a write waits for two of them.",
            min=1,
            show_default="3, or as many as there are",
        ),
    ] = None,
) -> None:
    """Make the topics that are missing, with the right settings. Those that are there stay as they are."""
    from agents.topics import create_topics

    async def work() -> list[str]:
        async with cli.client():
            return await create_topics(cli.settings, partitions=partitions, replication=replication)

    made = sorted(cli.run(work()))
    if cli.for_machines:
        cli.emit({"created": made})
        return
    for name in made:
        cli.out.print(f"[good]✓[/good] {name}")
    if not made:
        cli.out.print("all topics are there", style="quiet")


@command(app, "check", shown=("lanes", "max_message_bytes"), example="lexstream topics check")
def check(cli: Cli) -> None:
    """Say what is wrong with the topics and what to do about it; the exit code is 0 only if nothing is wrong.

    Warns of topics that one broker's death would harm, where three brokers or more could keep them; no error, since
    everything works until then.
    """
    from rich.markup import escape

    from schemas.errors import InvalidInput

    problems, warnings = cli.run(_found(cli))
    if cli.for_machines:
        cli.emit({"problems": problems, "warnings": warnings})
        raise typer.Exit(1 if problems else 0)
    for warning in warnings:
        cli.err.print(f"[middling]warning:[/middling] {escape(warning)}", soft_wrap=True)
    if problems:
        raise InvalidInput(problems)
    cli.out.print(f"[good]✓[/good] all topics of {cli.settings.namespace} are as they must be")


async def _found(cli: Cli) -> tuple[list[str], list[str]]:
    """Return what is wrong, and what a dead broker would make so. Routes are known only where the topics are sound."""
    from agents.topics import check_topics, topic_warnings
    from schemas.records import RouteRecord

    async with cli.client() as client:
        if problems := await check_topics(cli.settings):
            return problems, await topic_warnings(cli.settings)
        routes = [route.name for route in (await client.registry()).all(RouteRecord)]
        return await check_topics(cli.settings, routes=routes), await topic_warnings(cli.settings, routes=routes)
