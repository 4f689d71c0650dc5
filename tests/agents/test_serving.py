"""Who answers a document, and what has to be there first."""

import pytest

from agents.serving import Parked, ServingTable, primary_language, resolve
from schemas.documents import Task
from tests.agents.echo import project, served, table


def asked(*names: str) -> list[Task]:
    return [Task(project=p, deployment=d) for p, _, d in (name.partition("/") for name in names)]


def codes(of: ServingTable, names: list[str], language: str | None = None) -> list[str]:
    return [failure["code"] for failure in resolve(of, asked(*names), language).failures]


def test_each_task_is_answered_once_in_order() -> None:
    found = resolve(table(served("a"), served("b")), asked("loans/b", "loans/a", "loans/b"), "en")
    assert [one.deployment for one in found.served] == ["b", "a"]
    assert found.failures == ()


def test_what_is_not_there_is_said() -> None:
    assert codes(table(served()), ["loans/other", "tickets/production"]) == ["DeploymentNotFound", "ProjectNotFound"]


def test_a_deployment_without_a_loadable_model_is_unavailable() -> None:
    assert codes(table(refused=[("loans", "production")]), ["loans/production"]) == ["ModelUnavailable"]


@pytest.mark.parametrize(
    ("language", "multilingual", "expected"),
    [
        (None, False, []),
        ("en", False, []),
        ("EN-gb", False, []),
        ("de", False, ["UnsupportedLanguage"]),
        ("de", True, []),
        ("not a language", True, ["InvalidArgument"]),
    ],
)
def test_languages(language: str | None, multilingual: bool, expected: list[str]) -> None:
    assert codes(table(served(multilingual=multilingual)), ["loans/production"], language) == expected


def test_primary_language() -> None:
    assert [primary_language(tag) for tag in ("pt-BR", "zh_Hans", "x", "english text")] == ["pt", "zh", None, None]


PARKED = ServingTable({("loans", "a"): Parked(), ("loans", "b"): served("b")}, {"loans": project()})


def test_what_is_unknown_or_parked_is_missing() -> None:
    tasks = asked("loans/a", "loans/b", "loans/c")
    assert PARKED.missing(tasks) == {("loans", "a"), ("loans", "c")}
    assert PARKED.parked(tasks) == {("loans", "a")}


def test_what_is_refused_is_not_missing() -> None:
    assert table(refused=[("loans", "a")]).missing(asked("loans/a")) == set()


def test_a_parked_deployment_is_not_said_to_be_none() -> None:
    assert codes(PARKED, ["loans/a", "loans/c"]) == ["ModelUnavailable", "DeploymentNotFound"]
