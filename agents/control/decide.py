"""The one place that says what a command leads to: state and command in, decision out. Pure."""

from typing import assert_never

from agents.control.decision import Decision
from agents.control.deployments import delete_deployment, deploy, rollback, swap
from agents.control.jobs import cancel_job, delete_model, evaluate, train
from agents.control.projects import Import, create_project, delete_project, import_labels
from agents.control.routes import delete_route, set_route
from agents.registry import Registry
from schemas.base import Timestamp
from schemas.commands import (
    CancelJobCommand,
    Command,
    CreateProjectCommand,
    DeleteDeploymentCommand,
    DeleteModelCommand,
    DeleteProjectCommand,
    DeleteRouteCommand,
    DeployCommand,
    EvaluateCommand,
    ImportLabelsCommand,
    RollbackCommand,
    SetRouteCommand,
    SwapDeploymentsCommand,
    TrainCommand,
)


def decide(  # noqa: PLR0911, PLR0912 - one line for each command
    registry: Registry, command: Command, *, at: Timestamp, imported: Import | None = None
) -> Decision:
    """Return what ``command`` leads to.

    Args:
        registry: Everything there is, including all earlier commands' effects.
        command: A valid command that was not handled before.
        at: The present moment.
        imported: For ``importLabels``: the bundle, read and checked.
    """
    match command:
        case CreateProjectCommand():
            return create_project(registry, command, at=at)
        case DeleteProjectCommand():
            return delete_project(registry, command, at=at)
        case ImportLabelsCommand():
            return import_labels(registry, command, imported or Import(), at=at)
        case TrainCommand():
            return train(registry, command, at=at)
        case EvaluateCommand():
            return evaluate(registry, command, at=at)
        case CancelJobCommand():
            return cancel_job(registry, command, at=at)
        case DeleteModelCommand():
            return delete_model(registry, command, at=at)
        case DeployCommand():
            return deploy(registry, command, at=at)
        case DeleteDeploymentCommand():
            return delete_deployment(registry, command, at=at)
        case SwapDeploymentsCommand():
            return swap(registry, command, at=at)
        case RollbackCommand():
            return rollback(registry, command, at=at)
        case SetRouteCommand():
            return set_route(registry, command, at=at)
        case DeleteRouteCommand():
            return delete_route(registry, command, at=at)
    assert_never(command)
