"""Who answers a document, and where a worker stands with its deployments."""

import pytest

from agents.registry import Registry
from agents.serving import ServingTable, primary_language, resolve
from agents.standing import Standing, forgettable, next_record, still_there
from schemas.base import now
from schemas.documents import Task
from schemas.records import DeploymentRecord, ModelReference, record_key
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


def record(name: str, digest: str, *, command: str = "c1", previous: str | None = None) -> DeploymentRecord:
    before = ModelReference(label="old", digest=previous) if previous else None
    model = ModelReference(label="v1", digest=digest)
    return DeploymentRecord(
        project="loans", name=name, model=model, previous=before, deployed_at=now(), command_id=command
    )


def registry(*records: DeploymentRecord) -> Registry:
    return Registry().after({record_key(project()): project(), **{record_key(one): one for one in records}})


def standing(of: DeploymentRecord, serves: ModelReference | None = None) -> Standing:
    return Standing(of, serves or of.model, "model")


def test_a_record_is_dealt_with_once() -> None:
    one = record("a", "d1")
    standings = {("loans", "a"): standing(one)}
    assert next_record(registry(one), {}) == one
    assert next_record(registry(one), standings) is None
    again = record("a", "d1", command="c2")
    assert next_record(registry(again), standings) == again


def test_a_deleted_deployment_is_no_longer_served() -> None:
    assert still_there(registry(), {("loans", "a"): standing(record("a", "d1"))}) == {}


def test_models_that_serve_are_never_forgotten_and_old_ones_only_without_room() -> None:
    old = standing(record("a", "new", previous="old"))
    sizes = {"new": 100, "old": 100, "older": 100}
    assert forgettable([old], sizes, most_bytes=0) == {"old", "older"}
    assert forgettable([old], sizes, most_bytes=100) == {"older"}
    kept = standing(record("b", "refused", previous="older"), ModelReference(label="x", digest="older"))
    assert forgettable([old, kept], sizes, most_bytes=0) == {"old"}


def test_the_newest_deployments_previous_model_is_kept_first() -> None:
    first, second = standing(record("a", "a2", previous="a1")), standing(record("b", "b2", previous="b1"))
    sizes = {"a1": 60, "a2": 60, "b1": 60, "b2": 60}
    assert forgettable([first, second], sizes, most_bytes=100) == {"a1"}
