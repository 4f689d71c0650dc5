"""What commands make of deployments: deployed, rolled back, swapped, deleted."""

from agents.control.decide import decide
from schemas.control_events import EventType
from schemas.records import DeploymentRecord, ModelReference
from tests.agents.control.decide_kit import AT, FULL, ONE, THREE, TWO, command, deployment, events, model


def test_a_first_deployment_has_no_previous_model() -> None:
    decision = decide(FULL, command("deploy", modelLabel="v2", deployment="canary"), at=AT)
    made = decision.changes["deployment/loans/canary"]
    assert isinstance(made, DeploymentRecord)
    assert (made.model.digest, made.previous, made.command_id) == (TWO, None, "deploy-1")
    assert events(decision) == [EventType.ACCEPTED], "a worker says when it serves"


def test_deploying_what_is_there_asks_the_workers_again_and_keeps_the_previous_model() -> None:
    decision = decide(FULL, command("deploy", modelLabel="v1", deployment="production"), at=AT)
    made = decision.changes["deployment/loans/production"]
    assert isinstance(made, DeploymentRecord)
    assert (made.model.digest, made.previous, made.command_id) == (
        ONE,
        ModelReference(label="v2", digest=TWO),
        "deploy-1",
    )
    assert events(decision) == [EventType.ACCEPTED], "a worker says whether it serves"


def test_a_retrained_model_of_the_same_label_is_deployed_anew_and_the_old_one_kept_for_rollback() -> None:
    registry = FULL.after({"model/loans/v1": model("v1", THREE)})
    decision = decide(registry, command("deploy", modelLabel="v1", deployment="production"), at=AT)
    made = decision.changes["deployment/loans/production"]
    assert isinstance(made, DeploymentRecord)
    assert made.model.digest == THREE
    assert made.previous == ModelReference(label="v1", digest=ONE)
    assert decision.garbage.models == ()


def test_a_deployment_remembers_the_models_before_the_previous_one_each_once() -> None:
    registry = FULL.after({"model/loans/v3": model("v3", THREE)})
    for label in ("v3", "v2", "v2", "v3"):
        decision = decide(registry, command("deploy", modelLabel=label, deployment="production"), at=AT)
        registry = registry.after(decision.changes)
    made = registry.deployment("loans", "production")
    assert made is not None
    assert (made.model.digest, made.previous and made.previous.digest) == (THREE, TWO)
    assert [each.digest for each in made.earlier] == [ONE]


def test_rollback_exchanges_model_and_previous_and_can_be_undone() -> None:
    once = decide(FULL, command("rollback", deployment="production"), at=AT)
    after = FULL.after(once.changes)
    changed = after.deployment("loans", "production")
    assert changed is not None
    assert (changed.model.digest, changed.previous and changed.previous.digest) == (TWO, ONE)
    twice = after.after(decide(after, command("rollback", deployment="production"), at=AT).changes)
    again = twice.deployment("loans", "production")
    assert again is not None
    assert again.model.digest == ONE


def test_a_swap_exchanges_both_in_one_step() -> None:
    decision = decide(FULL, command("swapDeployments", first="production", second="staging"), at=AT)
    after = FULL.after(decision.changes)
    found = {d.name: (d.model.digest, d.previous and d.previous.digest) for d in after.all(DeploymentRecord)}
    assert found == {"production": (TWO, ONE), "staging": (ONE, TWO)}
    assert {d.command_id for d in after.all(DeploymentRecord)} == {"swapDeployments-1"}


def test_swapping_two_that_serve_the_same_succeeds_and_changes_nothing() -> None:
    registry = FULL.after({"deployment/loans/staging": deployment("staging", "v1", ONE)})
    decision = decide(registry, command("swapDeployments", first="production", second="staging"), at=AT)
    assert set(decision.changes) == {"command/swapDeployments-1"}
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]


def test_a_deployment_goes() -> None:
    decision = decide(FULL, command("deleteDeployment", deployment="production"), at=AT)
    assert decision.changes["deployment/loans/production"] is None
    assert decision.garbage.models == ()
