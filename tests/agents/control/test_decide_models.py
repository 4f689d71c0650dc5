"""What goes with a model that is deleted."""

from agents.control.decide import decide
from schemas.records import DeploymentRecord, ModelReference
from tests.agents.control.decide_kit import AT, FULL, ONE, THREE, TWO, command, deployment, model, project, state


def test_deleting_a_model_takes_it_from_those_that_could_go_back_to_it() -> None:
    registry = FULL.after({"deployment/loans/staging": None, "route/loans/review": None})
    decision = decide(registry, command("deleteModel", modelLabel="v2"), at=AT)
    changed = decision.changes["deployment/loans/production"]
    assert isinstance(changed, DeploymentRecord)
    assert changed.previous is None
    assert changed.command_id == "earlier", "workers have nothing to load"
    assert decision.garbage.models == (TWO,)
    assert decision.garbage.blobs == (), "the other model's evaluation is the same blob"
    assert decision.events[-1].details["noRollback"] == ["production"]


def test_deleting_a_model_takes_it_from_those_that_would_fall_back_to_it() -> None:
    older = (ModelReference(label="v2", digest=TWO), ModelReference(label="v0", digest=THREE))
    served = deployment("production", "v1", ONE).model_copy(update={"earlier": list(older)})
    registry = state(project(), model("v1", ONE), model("v2", TWO), served)
    decision = decide(registry, command("deleteModel", modelLabel="v2"), at=AT)
    changed = decision.changes["deployment/loans/production"]
    assert isinstance(changed, DeploymentRecord)
    assert changed.earlier == [older[1]]
    assert decision.garbage.models == (TWO,), "what it may still fall back to stays"
    assert decision.events[-1].details["noRollback"] == []


def test_the_evaluation_of_a_deleted_model_goes_with_it() -> None:
    registry = state(project(), model("v1", ONE, evaluation=THREE))
    assert decide(registry, command("deleteModel", modelLabel="v1"), at=AT).garbage.blobs == (THREE,)
