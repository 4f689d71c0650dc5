"""Where a worker stands with its deployments, and what it loads next."""

from types import MappingProxyType

import pytest

from agents.registry import Registry
from agents.serving import Key, Parked, Refused, Served, ServingTable
from agents.standing import Change, Standing, candidates, change, dealt_with, due, settled, tabled
from schemas.commands import Rule
from schemas.records import DeploymentRecord, Record, RouteRecord, record_key
from tests.agents.deployed import deployment, parked, reference, refused, standing
from tests.agents.echo import project

A, B, C = ("loans", "a"), ("loans", "b"), ("loans", "c")


def registry(*records: Record) -> Registry:
    return Registry(MappingProxyType({record_key(one): one for one in records}))


def order(
    *records: DeploymentRecord,
    standings: dict[Key, Standing] | None = None,
    wanted: tuple[Key, ...] = (),
    put_off: tuple[Key, ...] = (),
) -> list[str]:
    by_key = {(one.project, one.name): one for one in records}
    return [name for _, name in due(by_key, standings or {}, wanted=wanted, put_off=put_off)]


def test_a_record_is_dealt_with_once() -> None:
    one = deployment("d1", name="a")
    assert order(one) == ["a"]
    assert order(one, standings={A: standing(one)}) == []
    assert order(deployment("d1", name="a", command="c2"), standings={A: standing(one)}) == ["a"]
    assert order(deployment("d2", name="a"), standings={A: standing(one)}) == ["a"]


def test_the_newest_record_is_dealt_with_first() -> None:
    assert order(*(deployment("d", name=name, minute=at) for name, at in (("a", 1), ("b", 3), ("c", 2)))) == [
        "b",
        "c",
        "a",
    ]


def test_what_documents_wait_for_goes_first_in_the_order_in_which_they_asked() -> None:
    one, two, new = deployment("d1", name="a"), deployment("d2", name="b"), deployment("d3", name="c")
    standings = {A: parked(one), B: parked(two)}
    assert order(one, two, new, standings=standings, wanted=(B, A)) == ["b", "a", "c"]
    assert order(one, two, new, standings=standings, wanted=(C, A)) == ["c", "a"]


def test_what_is_parked_is_not_loaded_until_documents_ask_for_it() -> None:
    one = deployment("d1", name="a")
    assert order(one, standings={A: parked(one)}) == []


def test_what_was_put_off_is_loaded_once_documents_ask_for_it() -> None:
    one = deployment("d1", name="a")
    assert order(one, put_off=(A,)) == []
    assert order(one, put_off=(A,), wanted=(A,)) == ["a"]


def test_nothing_is_loaded_for_documents_that_wait_for_nothing() -> None:
    one, two = deployment("d1", name="a"), deployment("d2", name="b")
    assert order(one, two, standings={A: standing(one), B: refused(two)}, wanted=(A, B, C)) == []


def test_a_parked_deployment_that_moves_to_another_model_has_something_to_load() -> None:
    assert order(deployment("d2", name="a"), standings={A: parked(deployment("d1", name="a"))}) == ["a"]


def test_documents_have_an_answer_by_a_model_in_memory_a_refusal_or_no_deployment() -> None:
    one = deployment("d1", name="a")
    assert settled(None, None)
    assert settled(one, standing(one))
    assert settled(one, refused(one))
    assert not settled(one, None)
    assert not settled(one, parked(one))


def test_a_standing_belongs_to_one_command_and_model() -> None:
    one = deployment("d1")
    assert dealt_with(deployment("d1", previous="d0"), standing(one))
    assert not dealt_with(deployment("d1", command="c2"), standing(one))
    assert not dealt_with(one, None)


def test_older_models_are_tried_the_newest_first_each_once() -> None:
    record = deployment("d5", previous="d4", earlier=("d3", "d4", "d2"))
    assert [one.digest for one in candidates(record, but={"d3"})] == ["d4", "d2"]
    assert candidates(deployment("d1"), but=()) == []


@pytest.mark.parametrize(
    ("stands", "seen"),
    [(standing, Served), (parked, Parked), (refused, Refused)],
)
def test_what_the_hot_loop_sees_of_a_deployment(stands: object, seen: type) -> None:
    assert callable(stands)
    assert isinstance(stands(deployment("d1")).shown(project()), seen)


def test_a_change_names_what_came_went_and_became_another() -> None:
    stays, goes, moves = deployment("d", name="a"), deployment("d", name="b"), deployment("d", name="c")
    moved, route = deployment("e", name="c"), RouteRecord(project="loans", name="x", rule=Rule())
    found = change(registry(stays, goes, moves, project()), registry(stays, moved, project("tickets"), route))
    assert dict(found.deployments) == {B: None, C: moved}
    assert found.projects == {"loans", "tickets"}
    assert found.routes


def test_nothing_differs_between_a_state_and_itself() -> None:
    same = registry(project(), deployment("d"))
    assert change(same, same) == Change()


def table_of(*records: Record, standings: dict[Key, Standing]) -> ServingTable:
    state = registry(*records)
    return tabled(ServingTable(), change(Registry(), state), state, standings, route_topic=str.upper)


def test_a_table_shows_every_deployment_of_a_project_that_is_there() -> None:
    one, two = deployment("d1", name="a"), deployment("d2", name="b")
    table = table_of(project(), one, two, standings={A: standing(one)})
    assert isinstance(table.deployments[A], Served)
    assert table.deployments[B] == Parked()
    assert table_of(one, standings={A: standing(one)}).deployments == {}


def test_what_did_not_change_is_taken_over() -> None:
    one, two, route = deployment("d1", name="a"), deployment("d2", name="b"), RouteRecord(
        project="loans", name="x", rule=Rule()
    )  # fmt: skip
    before = registry(project(), one, two, route)
    standings = {A: standing(one), B: standing(two)}
    table = tabled(ServingTable(), change(Registry(), before), before, standings, route_topic=str.upper)
    after = registry(*before.records.values(), deployment("d3", name="c")).after({record_key(two): None})
    later = tabled(table, change(before, after), after, standings, route_topic=str.upper)
    assert later.deployments[A] is table.deployments[A]
    assert later.deployments.keys() == {A, C}
    assert later.routes is table.routes


def test_a_project_that_changes_changes_its_deployments() -> None:
    one = deployment("d1", name="a")
    before = registry(project(), one)
    table = tabled(ServingTable(), change(Registry(), before), before, {A: standing(one)}, route_topic=str.upper)
    after = before.after({"project/loans": project(multilingual=True)})
    served = tabled(table, change(before, after), after, {A: standing(one)}, route_topic=str.upper).deployments[A]
    assert isinstance(served, Served)
    assert served.multilingual
    gone = before.after({"project/loans": None})
    assert tabled(table, change(before, gone), gone, {A: standing(one)}, route_topic=str.upper).deployments == {}


def test_routes_are_compiled_when_one_changes() -> None:
    table = table_of(project(), RouteRecord(project="loans", name="x", rule=Rule()), standings={})
    assert [route.topic for route in table.routes["loans"]] == ["X"]


def test_a_reference_is_what_serves() -> None:
    older = Standing(deployment("d2"), reference("d1"), "model", ("d2 is broken",)).shown(project())
    assert isinstance(older, Served)
    assert (older.label, older.digest) == ("label-d1", "d1")
