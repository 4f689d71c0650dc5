"""Decisions about routes: setRoute, deleteRoute. Pure."""

from agents.control.decision import Decision, accepted, known_project, rejected, unknown
from agents.registry import Registry
from schemas.base import Timestamp
from schemas.commands import DeleteRouteCommand, Rule, SetRouteCommand
from schemas.names import Kind
from schemas.records import DeploymentRecord, ProjectRecord, RouteRecord, record_key

NO_CLASS = "None"
"""What a single-label model answers when no class is likely enough."""


def set_route(registry: Registry, command: SetRouteCommand, *, at: Timestamp) -> Decision:
    """Make or replace a route. Its rule must speak of what the project knows."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    wanted = command.parameters
    problems = _unknown_categories(project, wanted.rule)
    deployments = [deployment.name for deployment in registry.of_project(project.name, DeploymentRecord)]
    if wanted.deployment is not None and wanted.deployment not in deployments:
        problems.append(unknown("deployment", wanted.deployment, deployments))
    if problems:
        return rejected(command, problems, at=at)
    route = RouteRecord(project=project.name, name=wanted.name, deployment=wanted.deployment, rule=wanted.rule)
    return accepted(
        command,
        {record_key(route): route},
        registry=registry,
        at=at,
        routes=[route.name],
        details={"route": route.name},
    )


def delete_route(registry: Registry, command: DeleteRouteCommand, *, at: Timestamp) -> Decision:
    """Take a route away; its topic and what is in it stay."""
    project = known_project(registry, command.project)
    if isinstance(project, list):
        return rejected(command, project, at=at)
    route = registry.route(project.name, command.parameters.name)
    if route is None:
        there = [route.name for route in registry.of_project(project.name, RouteRecord)]
        return rejected(command, [unknown("route", command.parameters.name, there)], at=at)
    return accepted(command, {record_key(route): None}, registry=registry, at=at, details={"route": route.name})


def _unknown_categories(project: ProjectRecord, rule: Rule) -> list[str]:
    known = [*project.categories, *([NO_CLASS] if project.kind is Kind.SINGLE_LABEL else [])]
    return [
        unknown(f"rule.{place}: category", category, known)
        for place, categories in (("any", rule.any), ("all", rule.all), ("none", rule.none))
        for category in categories
        if category not in known
    ]
