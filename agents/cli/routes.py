"""``lexstream routes``: which enriched documents are copied to topics of their own."""

from typing import Annotated

import typer

from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault
from agents.cli.project import ProjectName

app = typer.Typer(cls=ListByDefault, help="Routes: copy some enriched documents to topics of their own.")
RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="The route: the end of its topic's name.")]


@command(app, "set", example="lexstream routes set tickets unsure --confidence-below 0.6")
def set_route(
    cli: Cli,
    project: ProjectName,
    route: RouteName,
    *,
    deployment: Annotated[str | None, typer.Option(help="Only its results; default: all of the project's.")] = None,
    any_: Annotated[list[str] | None, typer.Option("--any", help="One of these categories must be there.")] = None,
    all_: Annotated[list[str] | None, typer.Option("--all", help="Each of these must be there.")] = None,
    none: Annotated[list[str] | None, typer.Option(help="None of these may be there.")] = None,
    confidence_at_least: Annotated[float, typer.Option(help="Count only results this sure.", min=0, max=1)] = 0.0,
    confidence_below: Annotated[float | None, typer.Option(help="Count only results less sure.", min=0, max=1)] = None,
) -> None:
    """Make or replace a route. Without a list, one result of any category is enough."""
    from agents.cli.follow import do
    from schemas.commands import Rule, SetRoute, SetRouteCommand

    rule = Rule(
        any=any_ or [],
        all=all_ or [],
        none=none or [],
        confidence_at_least=confidence_at_least,
        confidence_below=confidence_below,
    )
    asked = SetRouteCommand(project=project, parameters=SetRoute(name=route, deployment=deployment, rule=rule))
    do(cli, asked, done=f"{cli.settings.topics.route(route)} gets what the rule takes")


@command(app, "list", example="lexstream routes list tickets")
def list_routes(
    cli: Cli, project: Annotated[str | None, typer.Argument(metavar="[PROJECT]", help="Only this project's.")] = None
) -> None:
    """List the routes, what they take and where they lead."""
    from collections.abc import Iterable

    from rich.table import Table

    from agents.cli.records import show_all
    from agents.cli.render.records import routes_table
    from schemas.records import RouteRecord

    def table(routes: Iterable[RouteRecord]) -> Table:
        found = list(routes)
        return routes_table(found, topic=[cli.settings.topics.route(route.name) for route in found])

    nothing = "no routes yet: lexstream routes set PROJECT ROUTE --any CATEGORY"
    show_all(cli, RouteRecord, table, nothing=nothing, project=project)


@command(app, "delete", example="lexstream routes delete tickets unsure")
def delete(cli: Cli, project: ProjectName, route: RouteName) -> None:
    """Take a route away. Its topic stays, with what is in it."""
    from agents.cli.follow import do
    from schemas.commands import DeleteRouteCommand, OneRoute

    do(cli, DeleteRouteCommand(project=project, parameters=OneRoute(name=route)), done=f"deleted the route {route}")
