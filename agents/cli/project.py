"""``lexstream project``: make, list, show, delete, export and import projects."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.cli.render.projects import CategoryCount
    from agents.registry import Registry
    from schemas.labels import LabelledDocument
    from schemas.names import Kind

app = typer.Typer(cls=ListByDefault, help="Projects: what to find, in which language, learned from which documents.")

KINDS = {"entities": "ENTITIES", "single-label": "SINGLE_LABEL", "multi-label": "MULTI_LABEL"}
ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")]


def read_kind(text: str) -> "Kind":
    """Read a kind by its short or its long name.

    Raises:
        BadParameter: If it is neither.
    """
    from schemas.names import Kind

    if text in KINDS:
        return Kind[KINDS[text]]
    if text in list(Kind):
        return Kind(text)
    raise typer.BadParameter(f"--kind {text}: expected {', '.join(KINDS)} or {', '.join(Kind)}")


@command(app, "create", example="lexstream project create loans --kind entities --language en")
def create(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, _ . - and at most 50 of them.")],
    *,
    kind: Annotated[
        str,
        typer.Option(
            help="entities, single-label or multi-label (or Custom… in full).", autocompletion=lambda: list(KINDS)
        ),
    ],
    language: Annotated[str, typer.Option(help="The documents' language.")] = "en",
    multilingual: Annotated[
        bool, typer.Option("--multilingual", help="Take documents in other languages too.")
    ] = False,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    category: Annotated[
        list[str] | None, typer.Option(help="An entity type or class; they also come with labels.")
    ] = None,
    confidence_threshold: Annotated[
        float | None, typer.Option(help="Single-label: below it the answer is None.", min=0, max=1, metavar="SHARE")
    ] = None,
) -> None:
    """Make a project."""
    from agents.cli.follow import do
    from schemas.commands import CreateProject, CreateProjectCommand

    parameters = CreateProject(
        kind=read_kind(kind),
        language=language,
        multilingual=multilingual,
        description=description,
        categories=category or [],
        confidence_threshold=confidence_threshold,
    )
    asked = CreateProjectCommand(project=name, parameters=parameters)
    do(cli, asked, done=f"made {name}; next: [bold]lexstream labels import {name} FILE --documents DIR[/bold]")


@command(app, "list", example="lexstream project list")
def list_projects(cli: Cli) -> None:
    """List the projects."""
    from agents.cli.records import show_all
    from agents.cli.render.records import projects_table
    from schemas.records import ProjectRecord

    show_all(cli, ProjectRecord, projects_table, nothing="no projects yet: lexstream project create NAME --kind …")


@command(app, "show", example="lexstream project show loans")
def show(cli: Cli, name: ProjectName) -> None:
    """Show a project: its documents, how many labels each type or class has, models, deployments and routes."""
    from agents.cli.render.projects import count_labels

    everything, labelled = cli.run(_read(cli, name))
    counts = count_labels(everything["project"][0], labelled)
    if cli.for_machines:
        found = {kind: [each.payload() for each in records] for kind, records in everything.items()}
        cli.emit(found | {"categories": [asdict(count) for count in counts]})
        return
    _print(cli, everything, counts)


async def _read(cli: Cli, name: str) -> "tuple[dict[str, list[Any]], Sequence[LabelledDocument]]":
    from agents.labels import read_labels
    from schemas.errors import InvalidInput

    async with cli.client() as client:
        registry = await client.registry()
        if registry.project(name) is None:
            raise InvalidInput([f"there is no project {name}; see `lexstream project list`"])
        return _everything(registry, name), (await read_labels(cli.settings, name)).documents


def _everything(registry: "Registry", name: str) -> dict[str, list[Any]]:
    from schemas.records import DeploymentRecord, ModelRecord, RouteRecord

    return {
        "project": [registry.project(name)],
        "models": registry.of_project(name, ModelRecord),
        "deployments": registry.of_project(name, DeploymentRecord),
        "routes": registry.of_project(name, RouteRecord),
    }


def _print(cli: Cli, everything: dict[str, list[Any]], counts: "Sequence[CategoryCount]") -> None:
    from agents.cli.render.projects import labels_table, project_facts
    from agents.cli.render.records import deployments_table, models_table, routes_table

    (project,) = everything["project"]
    cli.out.print(project_facts(project))
    say = partial(cli.out.print, style="quiet", markup=False)
    if counts:
        cli.out.print(labels_table(project, counts))
    else:
        say(f"no labels yet: lexstream labels import {project.name} FILE")
    if models := everything["models"]:
        cli.out.print(models_table(models))
    else:
        say(f"no models yet: lexstream train {project.name} --model LABEL")
    if deployments := everything["deployments"]:
        cli.out.print(deployments_table(deployments))
    else:
        say(f"no deployments yet: lexstream deploy {project.name} MODEL --deployment NAME")
    if routes := everything["routes"]:
        cli.out.print(routes_table(routes, topic=[cli.settings.topics.route(route.name) for route in routes]))


@command(app, "delete", example="lexstream project delete loans --yes")
def delete(
    cli: Cli,
    name: ProjectName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a project with its labels, models, deployments and routes."""
    from agents.cli.follow import do
    from agents.cli.records import confirm
    from schemas.commands import DeleteProjectCommand

    confirm(f"Delete {name} with its labels, models and deployments?", sure=yes)
    do(cli, DeleteProjectCommand(project=name), done=f"deleted {name}")


@command(app, "export", shown=("store",), example="lexstream project export loans backup/")
def export(
    cli: Cli, name: ProjectName, folder: Annotated[Path, typer.Argument(help="A folder; made if it is not there.")]
) -> None:
    """Write a project's labels file and documents into a folder."""
    from agents.cli.labels import export_labels

    export_labels(cli, name, folder / "labels.json", folder / "documents")


@command(app, "import", shown=("store",), example="lexstream project import backup/ --name loans-copy")
def import_project(
    cli: Cli,
    folder: Annotated[Path, typer.Argument(help="A folder that `project export` wrote, or with Azure's labels file.")],
    name: Annotated[str | None, typer.Option(help="Another name than the one in the labels file.")] = None,
) -> None:
    """Make a project from a labels file (labels.json) and a folder documents/, and import its labels."""
    from agents.cli.labels import import_whole_project

    import_whole_project(cli, folder, name)
