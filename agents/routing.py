"""Which routes a document's results are copied to. Rules are compiled when they change."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from schemas.commands import Rule
from schemas.enriched import TaskResult
from schemas.records import RouteRecord

Matcher = Callable[[Sequence[TaskResult]], bool]


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A project's route: the topic, whose results it reads, and whether they match."""

    topic: str
    deployment: str | None
    matches: Matcher


Routes = dict[str, tuple[CompiledRoute, ...]]
"""Routes by project."""


def compile_rule(rule: Rule) -> Matcher:
    """Return the function that tells whether results match ``rule``."""
    some, every, never = frozenset(rule.any), frozenset(rule.all), frozenset(rule.none)
    least = rule.confidence_at_least
    below = rule.confidence_below if rule.confidence_below is not None else float("inf")
    lists = bool(some or every or never)

    def matches(results: Sequence[TaskResult]) -> bool:
        found = {
            finding["category"]
            for result in results
            for finding in result.get("entities") or result.get("classes") or ()
            if least <= finding["confidenceScore"] < below
        }
        if not lists:
            return bool(found)
        return (not some or not some.isdisjoint(found)) and every <= found and never.isdisjoint(found)

    return matches


def compile_routes(records: Iterable[RouteRecord], topic: Callable[[str], str]) -> Routes:
    """Return the routes of every project.

    Args:
        records: The routes of the registry.
        topic: Gives the topic of a route by its name.
    """
    routes: Routes = {}
    for record in records:
        compiled = CompiledRoute(topic(record.name), record.deployment, compile_rule(record.rule))
        routes[record.project] = (*routes.get(record.project, ()), compiled)
    return routes


def routed_topics(routes: Routes, results: Sequence[TaskResult]) -> list[str]:
    """Return the topics that get a copy, each once, in the order of the projects' results."""
    if not routes:
        return []
    topics: dict[str, None] = {}
    for project in dict.fromkeys(result["project"] for result in results):
        for route in routes.get(project, ()):
            read = [
                result
                for result in results
                if result["project"] == project and route.deployment in {None, result["deployment"]}
            ]
            if read and route.topic not in topics and route.matches(read):
                topics[route.topic] = None
    return list(topics)
