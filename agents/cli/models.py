"""``lexstream models``: what was trained."""

from typing import Annotated

import typer

from agents.cli.context import Cli, command
from agents.cli.listing import ListByDefault
from agents.cli.project import ProjectName
from agents.cli.train import ModelLabel

app = typer.Typer(cls=ListByDefault, help="Models: what was trained, and how good it is.")


@command(app, "list", example="lexstream models list loans")
def list_models(
    cli: Cli, project: Annotated[str | None, typer.Argument(metavar="[PROJECT]", help="Only this project's.")] = None
) -> None:
    """List the models."""
    from agents.cli.records import show_all
    from agents.cli.render.records import models_table
    from schemas.records import ModelRecord

    nothing = "no models yet: lexstream train PROJECT --model LABEL"
    show_all(cli, ModelRecord, models_table, nothing=nothing, project=project)


@command(app, "delete", example="lexstream models delete loans v1 --yes")
def delete(
    cli: Cli,
    project: ProjectName,
    model: ModelLabel,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a model that no deployment uses."""
    from agents.cli.follow import do
    from agents.cli.records import confirm
    from schemas.commands import DeleteModelCommand, OneModel

    confirm(f"Delete the model {model} of {project}?", sure=yes)
    asked = DeleteModelCommand(project=project, parameters=OneModel(model_label=model))
    do(cli, asked, done=f"deleted {model} of {project}")
