"""What a command leaves for the store to delete."""

from agents.control.decide import decide
from agents.control.decision import Garbage, garbage_of, still_dead
from agents.control.projects import Import
from agents.registry import Registry
from schemas.records import CommandRecord
from tests.agents.control.decide_kit import (
    AT,
    EVALUATION,
    FULL,
    ONE,
    THREE,
    TWO,
    command,
    deployment,
    model,
    project,
    state,
)


def test_the_bundle_of_a_refused_import_is_garbage_for_it_holds_texts() -> None:
    for refused in (Import(problems=("bad",)), Import()):
        decision = decide(FULL, command("importLabels", bundle=THREE), at=AT, imported=refused)
        assert decision.garbage.blobs == (THREE,)
        record = decision.changes["command/importLabels-1"]
        assert isinstance(record, CommandRecord)
        assert garbage_of(record) == decision.garbage
        assert "garbage" not in decision.events[0].details
    assert decide(Registry(), command("importLabels", bundle=THREE), at=AT).garbage.blobs == (THREE,)
    assert decide(Registry(), command("deleteProject"), at=AT).garbage == Garbage()


def test_what_the_registry_names_is_no_garbage_whoever_says_so() -> None:
    garbage = Garbage(models=(ONE, THREE), blobs=(EVALUATION, THREE))
    assert still_dead(garbage, state(project(), model())) == Garbage((THREE,), (THREE,))


def test_a_model_that_nothing_names_any_more_is_garbage() -> None:
    registry = state(project(), model("v1", THREE), deployment("production", "v1", TWO, previous=("v1", ONE)))
    deployed = decide(registry, command("deploy", modelLabel="v1", deployment="production"), at=AT)
    assert deployed.garbage.models == (), "the deployment may still fall back to both"
    deleted = decide(registry.after(deployed.changes), command("deleteDeployment", deployment="production"), at=AT)
    assert deleted.garbage.models == tuple(sorted((ONE, TWO)))


def test_what_a_command_left_to_delete_is_read_back_from_its_record() -> None:
    decision = decide(FULL, command("deleteProject"), at=AT)
    record = decision.changes["command/deleteProject-1"]
    assert isinstance(record, CommandRecord)
    stored = CommandRecord.model_validate(record.payload())
    assert garbage_of(stored) == decision.garbage
