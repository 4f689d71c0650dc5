"""Decisions about deployments: deploy, deleteDeployment, swapDeployments, rollback. Pure.

A changed deployment is only accepted here: each worker says ``succeeded`` once it serves the other model.
"""

from agents.control.decision import Decision, accepted, known_project, rejected, unknown
from agents.registry import Registry
from schemas.base import Timestamp
from schemas.commands import DeleteDeploymentCommand, DeployCommand, RollbackCommand, SwapDeploymentsCommand
from schemas.records import DeploymentRecord, ModelRecord, ModelReference, RouteRecord, record_key

MAX_EARLIER = 8
"""How many models a deployment remembers besides the present and the previous one."""


def deploy(registry: Registry, command: DeployCommand, *, at: Timestamp) -> Decision:
    """Let a deployment point at a model.

    If it does already, workers are asked once more: one that refused the model tries again, the others only confirm.
    """
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    wanted = command.parameters
    model = registry.model(project.name, wanted.model_label)
    if model is None:
        labels = [model.label for model in registry.of_project(project.name, ModelRecord)]
        return rejected(command, [unknown("model", wanted.model_label, labels)], at=at)
    reference = ModelReference(label=model.label, digest=model.digest)
    before = registry.deployment(project.name, wanted.deployment)
    details = {"deployment": wanted.deployment, "model": reference.payload()}
    after = (
        _pointed(before, reference, command_id=command.id, at=at)
        if before
        else DeploymentRecord(
            project=project.name, name=wanted.deployment, model=reference, deployed_at=at, command_id=command.id
        )
    )
    return accepted(command, {record_key(after): after}, registry=registry, at=at, ends=False, details=details)


def delete_deployment(registry: Registry, command: DeleteDeploymentCommand, *, at: Timestamp) -> Decision:
    """Take a deployment away that no route waits for."""
    found = _found(registry, command.project, [command.parameters.deployment])
    if isinstance(found[0], str):
        return rejected(command, [problem for problem in found if isinstance(problem, str)], at=at)
    deployment = found[0]
    routes = [
        f"deployment {deployment.name!r} is read by route {route.name!r}; expected none: delete the route first"
        for route in registry.of_project(command.project, RouteRecord)
        if route.deployment == deployment.name
    ]
    if routes:
        return rejected(command, routes, at=at)
    details = {"deployment": deployment.name}
    return accepted(command, {record_key(deployment): None}, registry=registry, at=at, details=details)


def swap(registry: Registry, command: SwapDeploymentsCommand, *, at: Timestamp) -> Decision:
    """Exchange the models of two deployments, in one step."""
    names = [command.parameters.first, command.parameters.second]
    if names[0] == names[1]:
        problem = f"first and second: got {names[0]!r} twice; expected two different deployments"
        return rejected(command, [problem], at=at)
    found = _found(registry, command.project, names)
    problems = [problem for problem in found if isinstance(problem, str)]
    deployments = [deployment for deployment in found if isinstance(deployment, DeploymentRecord)]
    if problems:
        return rejected(command, problems, at=at)
    first, second = deployments
    details = {"deployments": {first.name: second.model.payload(), second.name: first.model.payload()}}
    if first.model == second.model:
        return accepted(command, {}, registry=registry, at=at, details=details | {"changed": False})
    pairs = (first, second.model), (second, first.model)
    changes = {record_key(d): _pointed(d, model, command_id=command.id, at=at) for d, model in pairs}
    return accepted(command, changes, registry=registry, at=at, ends=False, details=details)


def rollback(registry: Registry, command: RollbackCommand, *, at: Timestamp) -> Decision:
    """Let a deployment point at its previous model again; the one it leaves becomes the previous."""
    found = _found(registry, command.project, [command.parameters.deployment])
    if isinstance(found[0], str):
        return rejected(command, [problem for problem in found if isinstance(problem, str)], at=at)
    deployment = found[0]
    if deployment.previous is None:
        problem = (
            f"deployment {deployment.name!r} has served only {deployment.model.label!r}; expected a previous model"
        )
        return rejected(command, [problem], at=at)
    after = _pointed(deployment, deployment.previous, command_id=command.id, at=at)
    details = {"deployment": deployment.name, "model": after.model.payload()}
    return accepted(command, {record_key(after): after}, registry=registry, at=at, ends=False, details=details)


def _found(registry: Registry, project: str, names: list[str]) -> list[DeploymentRecord | str]:
    known = known_project(registry, project)
    if isinstance(known, list):
        return [*known]
    there = [deployment.name for deployment in registry.of_project(project, DeploymentRecord)]
    return [registry.deployment(project, name) or unknown("deployment", name, there) for name in names]


def _pointed(
    deployment: DeploymentRecord, model: ModelReference, *, command_id: str, at: Timestamp
) -> DeploymentRecord:
    previous = deployment.previous if model == deployment.model else deployment.model
    older = [each for each in (deployment.previous, *deployment.earlier) if each and each not in (model, previous)]
    earlier = list({each.digest: each for each in older}.values())[:MAX_EARLIER]
    return deployment.model_copy(
        update={"model": model, "previous": previous, "earlier": earlier, "deployed_at": at, "command_id": command_id}
    )
