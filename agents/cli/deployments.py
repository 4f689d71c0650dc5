"""``lexstream deploy``, ``swap``, ``rollback`` and ``deployments``: which model answers."""

from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.context import SERVE, Cli, command
from agents.cli.listing import ListByDefault
from agents.cli.project import ProjectName
from agents.cli.train import ModelLabel

if TYPE_CHECKING:
    from agents.cli.render.tuning import Found
    from schemas.commands import Command
    from schemas.control_events import ControlEvent

app = typer.Typer(
    cls=ListByDefault,
    help="Deployments: names that documents ask for, each pointing at a model.\n\nWithout a command they are listed; "
    "[bold]--tuning[/bold] shows how fast each model runs in which way, and which of them serves.",
    epilog="Example:  [bold]lexstream deployments --tuning[/bold]",
)
_NOTHING = "no deployments yet: lexstream deploy PROJECT MODEL --deployment NAME"
Deployment = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="The deployment.")]


def register(program: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    command(program, "deploy", example="lexstream deploy loans v1 --deployment production", panel=SERVE)(deploy)
    command(program, "swap", example="lexstream swap loans production staging", panel=SERVE)(swap)
    command(program, "rollback", example="lexstream rollback loans production", panel=SERVE)(rollback)


def deploy(
    cli: Cli,
    project: ProjectName,
    model: ModelLabel,
    deployment: Annotated[str, typer.Option(help="Made if it is not there; else it switches to the model.")],
) -> None:
    """Let a deployment point at a model; returns when a worker serves it."""
    from schemas.commands import Deploy, DeployCommand

    parameters = Deploy(model_label=model, deployment=deployment)
    _serve(cli, DeployCommand(project=project, parameters=parameters))


def swap(
    cli: Cli,
    project: ProjectName,
    first: Annotated[str, typer.Argument(metavar="A", help="A deployment.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """Exchange the models of two deployments; returns when a worker serves both."""
    from schemas.commands import SwapDeployments, SwapDeploymentsCommand

    _serve(cli, SwapDeploymentsCommand(project=project, parameters=SwapDeployments(first=first, second=second)))


def rollback(cli: Cli, project: ProjectName, deployment: Deployment) -> None:
    """Let a deployment point at its previous model again."""
    from schemas.commands import OneDeployment, RollbackCommand

    _serve(cli, RollbackCommand(project=project, parameters=OneDeployment(deployment=deployment)))


def _serve(cli: Cli, asked: "Command") -> None:
    from agents.cli.follow import perform_one

    for event in perform_one(cli, asked):
        if not cli.for_machines:
            cli.out.print(f"[good]✓[/good] {served_words(event)}")


def served_words(event: "ControlEvent") -> str:
    """Return who serves what since when."""
    from agents.cli.render.events import loaded_words

    details = event.details
    if "deployment" not in details:
        return f"{event.project}: nothing had to change"
    model = details.get("model") or {}
    words = f"{event.project}/{details.get('deployment')} answers with {model.get('label')}"
    if details.get("backend"):
        words += f" on {details['backend']}"
    return f"{words}, {loaded_words(float(details.get('seconds', 0)))}"


@command(app, "list", example="lexstream deployments list loans --tuning")
def list_deployments(
    cli: Cli,
    project: Annotated[str | None, typer.Argument(metavar="[PROJECT]", help="Only this project's.")] = None,
    tuning: Annotated[
        bool,
        typer.Option(
            "--tuning", help="Show how fast each model runs in which way, what was measured, and which way serves."
        ),
    ] = False,
) -> None:
    """List the deployments."""
    if tuning:
        _show_tuning(cli, project)
        return
    from agents.cli.records import show_all
    from agents.cli.render.records import deployments_table
    from schemas.records import DeploymentRecord

    show_all(cli, DeploymentRecord, deployments_table, nothing=_NOTHING, project=project)


def _show_tuning(cli: Cli, project: str | None) -> None:
    from agents.cli.overrides import overrides_of
    from agents.cli.records import records_of
    from agents.cli.render.tuning import tuning_report
    from models.tuning.known import tunings_of
    from schemas.records import DeploymentRecord

    records = records_of(cli, DeploymentRecord, project=project)
    store, origin = cli.store(), cli.origins()
    found = {
        each.model.digest: [
            (tuning, overrides_of(tuning, cli.settings, origin)) for tuning in tunings_of(store, each.model.digest)
        ]
        for each in records
    }
    if cli.for_machines:
        cli.emit([{**each.payload(), "tunings": list(map(_payload, found[each.model.digest]))} for each in records])
        return
    for each in records:
        cli.out.print(tuning_report(each, found[each.model.digest]))
    if not records:
        cli.out.print(_NOTHING, style="quiet", markup=False)


def _payload(found: "Found") -> dict[str, object]:
    tuning, overrides = found
    return {**tuning.payload(), "overriddenBy": [each.payload() for each in overrides]}


@command(app, "delete", example="lexstream deployments delete loans staging --yes")
def delete(
    cli: Cli,
    project: ProjectName,
    deployment: Deployment,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a deployment away; documents that ask for it become dead letters."""
    from agents.cli.follow import do
    from agents.cli.records import confirm
    from schemas.commands import DeleteDeploymentCommand, OneDeployment

    confirm(f"Delete the deployment {project}/{deployment}?", sure=yes)
    asked = DeleteDeploymentCommand(project=project, parameters=OneDeployment(deployment=deployment))
    do(cli, asked, done=f"deleted {project}/{deployment}")
