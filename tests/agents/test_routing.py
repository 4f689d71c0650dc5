"""Routing rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.routing import compile_routes, compile_rule, routed_topics
from schemas.commands import Rule
from schemas.enriched import TaskResult
from schemas.records import RouteRecord


def result(*findings: tuple[str, float], project: str = "loans", deployment: str = "production") -> TaskResult:
    return TaskResult(
        project=project,
        deployment=deployment,
        kind="CustomMultiLabelClassification",
        model={"label": "v1", "digest": "sha256:0"},
        classes=[{"category": category, "confidenceScore": score} for category, score in findings],
        warnings=[],
    )


A, B, UNSURE = ("A", 0.9), ("B", 0.8), ("A", 0.3)


@pytest.mark.parametrize(
    ("rule", "findings", "expected"),
    [
        (Rule(), [A], True),
        (Rule(), [], False),
        (Rule(any=["A", "C"]), [A], True),
        (Rule(any=["C"]), [A], False),
        (Rule(all=["A", "B"]), [A, B], True),
        (Rule(all=["A", "B"]), [A], False),
        (Rule(none=["B"]), [A], True),
        (Rule(none=["B"]), [A, B], False),
        (Rule(none=["B"]), [], True),
        (Rule(any=["A"], none=["B"]), [A, B], False),
        (Rule(any=["A"], confidence_at_least=0.5), [UNSURE], False),
        (Rule(any=["A"], confidence_at_least=0.9), [A], True),
        (Rule(confidence_below=0.5), [UNSURE], True),
        (Rule(confidence_below=0.9), [A], False),
        (Rule(none=["A"], confidence_at_least=0.5), [UNSURE], True),
    ],
)
def test_rules(rule: Rule, findings: list[tuple[str, float]], expected: bool) -> None:
    assert compile_rule(rule)([result(*findings)]) is expected


def test_a_rule_reads_entities_too() -> None:
    found = result()
    del found["classes"]
    found["entities"] = [{"text": "x", "category": "A", "offset": 0, "length": 1, "confidenceScore": 0.9}]
    assert compile_rule(Rule(any=["A"]))([found])


def routes(*records: tuple[str, str, str | None]) -> dict[str, tuple]:  # type: ignore[type-arg]
    return compile_routes(
        [RouteRecord(project=p, name=n, deployment=d, rule=Rule()) for p, n, d in records], lambda name: f"r.{name}"
    )


def test_only_the_projects_own_results_count() -> None:
    assert routed_topics(routes(("other", "x", None)), [result(A)]) == []
    assert routed_topics(routes(("loans", "x", None), ("loans", "y", None)), [result(A)]) == ["r.x", "r.y"]


def test_a_route_of_a_deployment_reads_that_one_only() -> None:
    results = [result(A), result(deployment="canary")]
    assert routed_topics(routes(("loans", "x", "canary"), ("loans", "y", "production")), results) == ["r.y"]


def test_two_projects_with_a_route_of_the_same_name_give_one_copy() -> None:
    assert routed_topics(
        routes(("loans", "x", None), ("tickets", "x", None)), [result(A), result(A, project="tickets")]
    ) == ["r.x"]


def test_without_a_result_of_the_project_nothing_matches() -> None:
    assert routed_topics(compile_routes([RouteRecord(project="loans", name="x", rule=Rule(none=["A"]))], str), []) == []


names = st.sampled_from("ABCD")


@given(st.sets(names), st.sets(names), st.sets(names), st.sets(names))
def test_rules_mean_what_sets_mean(some: set[str], every: set[str], never: set[str], found: set[str]) -> None:
    rule = Rule(any=sorted(some), all=sorted(every), none=sorted(never))
    expected = (not some or bool(some & found)) and every <= found and not never & found
    if not (some or every or never):
        expected = bool(found)
    assert compile_rule(rule)([result(*((name, 0.5) for name in found))]) is expected
