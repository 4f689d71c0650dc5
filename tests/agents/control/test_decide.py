"""The decision table: every command, every refusal, and what holds after any sequence of commands."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.control.decide import decide
from agents.control.decision import Decision, Garbage, Labels, garbage_of, still_dead
from agents.control.projects import Import
from agents.registry import Registry
from schemas.commands import COMMAND, Command, ImportLabelsCommand, Rule, Train
from schemas.control_events import EventType
from schemas.labels import LabelledDocument
from schemas.names import Kind
from schemas.records import (
    CommandRecord,
    DeploymentRecord,
    JobRecord,
    JobStatus,
    ModelRecord,
    ModelReference,
    ProjectRecord,
    Record,
    RouteRecord,
    record_key,
)

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
ONE, TWO, THREE = (f"sha256:{c * 64}" for c in "123")
EVALUATION = f"sha256:{'e' * 64}"


def digest(n: int) -> str:
    return f"sha256:{n:064x}"


def command(what: str, project: str = "loans", /, **parameters: Any) -> Command:
    return COMMAND.validate_python({"id": f"{what}-1", "command": what, "project": project, "parameters": parameters})


def project(name: str = "loans", **more: Any) -> ProjectRecord:
    fields: dict[str, Any] = {
        "kind": Kind.ENTITIES,
        "language": "en",
        "categories": ["Date", "Amount"],
        "n_documents": 20,
        "n_labelled": 20,
    }
    return ProjectRecord(name=name, created_at=AT, updated_at=AT, **(fields | more))


def model(label: str = "v1", digest: str = ONE, name: str = "loans", evaluation: str = EVALUATION) -> ModelRecord:
    return ModelRecord(
        project=name,
        label=label,
        digest=digest,
        kind=Kind.ENTITIES,
        job_id=f"job-{label}",
        trained_at=AT,
        duration_s=1,
        evaluation=evaluation,
    )


def deployment(name: str, label: str, digest: str, previous: tuple[str, str] | None = None) -> DeploymentRecord:
    return DeploymentRecord(
        project="loans",
        name=name,
        model=ModelReference(label=label, digest=digest),
        previous=ModelReference(label=previous[0], digest=previous[1]) if previous else None,
        deployed_at=AT,
        command_id="earlier",
    )


def job(status: JobStatus, job_id: str = "job-9", label: str = "v9", name: str = "loans") -> JobRecord:
    return JobRecord(
        id=job_id,
        project=name,
        type="train",
        status=status,
        train=Train(model_label=label),
        created_at=AT,
        updated_at=AT,
    )


def state(*records: Record) -> Registry:
    return Registry().after({record_key(record): record for record in records})


def events(decision: Decision) -> list[EventType]:
    return [event.event for event in decision.events]


def problems(decision: Decision) -> list[str]:
    assert events(decision) == [EventType.REJECTED]
    assert [key.partition("/")[0] for key in decision.changes] == ["command"]
    assert not decision.jobs
    assert decision.labels == Labels()
    assert not decision.garbage.models
    assert len(decision.garbage.blobs) <= 1, "an import's bundle"
    return list(decision.events[0].details["problems"])


FULL = state(
    project(),
    project("tickets", kind=Kind.SINGLE_LABEL, categories=["billing"], n_labelled=3),
    model("v1", ONE),
    model("v2", TWO),
    deployment("production", "v1", ONE, previous=("v2", TWO)),
    deployment("staging", "v2", TWO),
    RouteRecord(project="loans", name="review", deployment="staging", rule=Rule()),
)

UNKNOWN_PROJECT = "project 'nobody' is unknown; expected one of: loans, tickets"
REFUSALS: list[tuple[str, Registry, Command, list[str]]] = [
    *(
        (f"{name} of an unknown project", FULL, command(name, "nobody", **parameters), [UNKNOWN_PROJECT])
        for name, parameters in {
            "deleteProject": {},
            "importLabels": {"bundle": ONE},
            "train": {"modelLabel": "v1"},
            "evaluate": {"modelLabel": "v1"},
            "cancelJob": {"jobId": "x"},
            "deploy": {"modelLabel": "v1", "deployment": "production"},
            "deleteDeployment": {"deployment": "production"},
            "rollback": {"deployment": "production"},
            "deleteModel": {"modelLabel": "v1"},
            "setRoute": {"name": "review"},
            "deleteRoute": {"name": "review"},
        }.items()
    ),
    (
        "the first project of all",
        state(),
        command("train", modelLabel="v1"),
        ["project 'loans' is unknown; expected one, but there is none yet"],
    ),
    (
        "a project twice, with a category twice",
        FULL,
        command("createProject", kind="CustomEntityRecognition", categories=["Date", "Date"]),
        [
            "project 'loans' exists; expected a new name, or deleteProject before",
            "categories: got Date more than once; expected each once",
        ],
    ),
    (
        "training with too little, beside another training",
        FULL.after({"job/j": job(JobStatus.RUNNING, "j", name="tickets")}),
        command("train", "tickets", modelLabel="v1"),
        [
            "project 'tickets' has the job 'j' (train, running); expected none that runs: wait for it, or cancel it",
            "project 'tickets' has 3 labelled documents; expected at least 10",
        ],
    ),
    (
        "training without categories",
        state(project(categories=[])),
        command("train", modelLabel="v1"),
        ["project 'loans' has no categories; expected at least one"],
    ),
    (
        "evaluating a model that is not there, with nothing to measure by, while a job is being cancelled",
        state(project(n_labelled=0), job(JobStatus.CANCELLING), model("v1")),
        command("evaluate", modelLabel="v7"),
        [
            "project 'loans' has the job 'job-9' (train, cancelling); "
            "expected none that runs: wait for it, or cancel it",
            "model 'v7' is unknown; expected one of: v1",
            "project 'loans' has no labelled documents; expected at least 1 to measure with",
        ],
    ),
    (
        "cancelling a job that is not there",
        FULL.after({"job/job-9": job(JobStatus.RUNNING)}),
        command("cancelJob", jobId="job-8"),
        ["job 'job-8' is unknown; expected one of: job-9"],
    ),
    (
        "cancelling another project's job",
        FULL.after({"job/job-9": job(JobStatus.RUNNING)}),
        command("cancelJob", "tickets", jobId="job-9"),
        ["job 'job-9' is unknown; expected one, but there is none yet"],
    ),
    *(
        (
            f"cancelling a job that has {status}",
            FULL.after({"job/job-9": job(status)}),
            command("cancelJob", jobId="job-9"),
            [f"job 'job-9' has ended ({status}); expected one that is notStarted or running or cancelling"],
        )
        for status in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
    ),
    (
        "deploying a model that is not there",
        FULL,
        command("deploy", modelLabel="v7", deployment="production"),
        ["model 'v7' is unknown; expected one of: v1, v2"],
    ),
    (
        "deleting a deployment that is not there",
        FULL,
        command("deleteDeployment", deployment="canary"),
        ["deployment 'canary' is unknown; expected one of: production, staging"],
    ),
    (
        "deleting a deployment that a route reads",
        FULL,
        command("deleteDeployment", deployment="staging"),
        ["deployment 'staging' is read by route 'review'; expected none: delete the route first"],
    ),
    (
        "swapping a deployment with itself",
        FULL,
        command("swapDeployments", first="staging", second="staging"),
        ["first and second: got 'staging' twice; expected two different deployments"],
    ),
    (
        "swapping two that are not there",
        FULL,
        command("swapDeployments", first="a", second="b"),
        [
            "deployment 'a' is unknown; expected one of: production, staging",
            "deployment 'b' is unknown; expected one of: production, staging",
        ],
    ),
    (
        "rolling back what is not there",
        FULL,
        command("rollback", deployment="canary"),
        ["deployment 'canary' is unknown; expected one of: production, staging"],
    ),
    (
        "rolling back what has no previous model",
        FULL,
        command("rollback", deployment="staging"),
        ["deployment 'staging' has served only 'v2'; expected a previous model"],
    ),
    (
        "deleting a model that is not there",
        FULL,
        command("deleteModel", modelLabel="v7"),
        ["model 'v7' is unknown; expected one of: v1, v2"],
    ),
    (
        "deleting a model that is served and being trained again",
        FULL.after({"job/j": job(JobStatus.RUNNING, "j", label="v1")}),
        command("deleteModel", modelLabel="v1"),
        [
            "model 'v1' is in use by deployment 'production'; expected it to serve another first",
            "model 'v1' is what job 'j' (train) works on; expected none: wait for it, or cancel it",
        ],
    ),
    (
        "a route of categories and a deployment that nobody knows",
        FULL,
        command("setRoute", name="x", deployment="canary", rule={"any": ["Date", "Dat"], "none": ["None"]}),
        [
            "rule.any: category 'Dat' is unknown; expected one of: Amount, Date",
            "rule.none: category 'None' is unknown; expected one of: Amount, Date",
            "deployment 'canary' is unknown; expected one of: production, staging",
        ],
    ),
    (
        "deleting a route that is not there",
        FULL,
        command("deleteRoute", name="x"),
        ["route 'x' is unknown; expected one of: review"],
    ),
]


@pytest.mark.parametrize(("registry", "given_", "expected"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_a_refusal_names_all_that_is_wrong_and_changes_nothing(
    registry: Registry, given_: Command, expected: list[str]
) -> None:
    assert problems(decide(registry, given_, at=AT)) == expected


def test_a_project_is_made_as_it_was_asked_for() -> None:
    decision = decide(
        state(),
        command("createProject", kind="CustomSingleLabelClassification", language="de", categories=["a"]),
        at=AT,
    )
    made = decision.changes["project/loans"]
    assert isinstance(made, ProjectRecord)
    assert (made.kind, made.language, made.categories) == (Kind.SINGLE_LABEL, "de", ["a"])
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]


def test_a_new_project_does_not_inherit_what_a_late_trainer_wrote() -> None:
    decision = decide(state(model("v1", ONE)), command("createProject", kind="CustomEntityRecognition"), at=AT)
    assert decision.changes["model/loans/v1"] is None
    assert decision.garbage.models == (ONE,)


def test_deleting_a_project_takes_everything_of_it_and_nothing_else() -> None:
    other = model("v1", ONE, name="tickets")
    registry = FULL.after({"job/job-9": job(JobStatus.RUNNING), record_key(other): other})
    decision = decide(registry, command("deleteProject"), at=AT)
    after = registry.after(decision.changes)
    assert set(after.records) == {"project/tickets", "model/tickets/v1", "command/deleteProject-1"}
    assert decision.labels.everything
    assert decision.garbage.models == (TWO,), "the other project still has the first model"
    assert events(decision) == [EventType.ACCEPTED, EventType.CANCELLED, EventType.SUCCEEDED]
    assert decision.events[1].command_id == "job-9"


def test_an_import_replaces_labels_and_project_and_drops_the_bundle() -> None:
    after = project(categories=["Date"], n_documents=1, n_labelled=1)
    labels = Labels(documents=[LabelledDocument(project="loans", id="a.txt", text="x")], removed=["b.txt"])
    given_ = command("importLabels", bundle=THREE)
    assert isinstance(given_, ImportLabelsCommand)
    decision = decide(FULL, given_, at=AT, imported=Import(project=after, labels=labels, warnings=("odd",)))
    assert decision.changes["project/loans"] == after
    assert decision.labels == labels
    assert decision.garbage.blobs == (THREE,)
    assert decision.events[-1].details["removed"] == 1
    assert decision.events[-1].details["warnings"] == ["odd"]


def test_an_import_with_problems_is_refused_whole() -> None:
    imported = Import(problems=("documents[0]: bad", "documents[1]: bad"))
    decision = decide(FULL, command("importLabels", bundle=THREE), at=AT, imported=imported)
    assert problems(decision) == ["documents[0]: bad", "documents[1]: bad"]


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


def test_training_makes_a_job_with_the_commands_id() -> None:
    decision = decide(FULL, command("train", modelLabel="v3", seed=7), at=AT)
    assert [made.id for made in decision.jobs] == ["train-1"]
    made = decision.changes["job/train-1"]
    assert isinstance(made, JobRecord)
    assert made.status is JobStatus.NOT_STARTED
    assert made.train is not None
    assert made.train.seed == 7
    assert events(decision) == [EventType.ACCEPTED], "the trainer says how it ended"


def test_evaluating_makes_a_job() -> None:
    decision = decide(FULL, command("evaluate", modelLabel="v1"), at=AT)
    assert [(made.type, made.id) for made in decision.jobs] == [("evaluate", "evaluate-1")]


def test_a_job_that_nobody_took_is_cancelled_at_once() -> None:
    decision = decide(FULL.after({"job/job-9": job(JobStatus.NOT_STARTED)}), command("cancelJob", jobId="job-9"), at=AT)
    changed = decision.changes["job/job-9"]
    assert isinstance(changed, JobRecord)
    assert changed.status is JobStatus.CANCELLED
    assert [(event.event, event.command_id) for event in decision.events] == [
        (EventType.ACCEPTED, "cancelJob-1"),
        (EventType.CANCELLED, "job-9"),
        (EventType.SUCCEEDED, "cancelJob-1"),
    ]


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.CANCELLING])
def test_a_running_job_is_left_to_its_trainer_to_cancel(status: JobStatus) -> None:
    decision = decide(FULL.after({"job/job-9": job(status)}), command("cancelJob", jobId="job-9"), at=AT)
    changed = decision.changes["job/job-9"]
    assert isinstance(changed, JobRecord)
    assert changed.status is JobStatus.CANCELLING
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]


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


def test_a_model_that_nothing_names_any_more_is_garbage() -> None:
    registry = state(project(), model("v1", THREE), deployment("production", "v1", TWO, previous=("v1", ONE)))
    deployed = decide(registry, command("deploy", modelLabel="v1", deployment="production"), at=AT)
    assert deployed.garbage.models == (), "the deployment may still fall back to both"
    deleted = decide(registry.after(deployed.changes), command("deleteDeployment", deployment="production"), at=AT)
    assert deleted.garbage.models == tuple(sorted((ONE, TWO)))


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


def test_a_route_is_set_and_asks_for_its_topic() -> None:
    decision = decide(FULL, command("setRoute", name="fraud", rule={"any": ["Amount"]}), at=AT)
    made = decision.changes["route/loans/fraud"]
    assert isinstance(made, RouteRecord)
    assert made.rule.any == ["Amount"]
    assert decision.routes == ["fraud"]


def test_a_single_label_rule_may_speak_of_no_class() -> None:
    decision = decide(FULL, command("setRoute", "tickets", name="unsure", rule={"any": ["None"]}), at=AT)
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]


def test_a_route_goes() -> None:
    assert decide(FULL, command("deleteRoute", name="review"), at=AT).changes["route/loans/review"] is None


def test_what_a_command_left_to_delete_is_read_back_from_its_record() -> None:
    decision = decide(FULL, command("deleteProject"), at=AT)
    record = decision.changes["command/deleteProject-1"]
    assert isinstance(record, CommandRecord)
    stored = CommandRecord.model_validate(record.payload())
    assert garbage_of(stored) == decision.garbage


NAMES = st.sampled_from(["a", "b"])
LABELS = st.sampled_from(["v1", "v2"])
STEPS = st.one_of(
    st.tuples(st.just("createProject"), st.fixed_dictionaries({"kind": st.just("CustomEntityRecognition")})),
    st.tuples(st.just("deleteProject"), st.just({})),
    st.tuples(st.just("train"), st.fixed_dictionaries({"modelLabel": LABELS})),
    st.tuples(st.just("evaluate"), st.fixed_dictionaries({"modelLabel": LABELS})),
    st.tuples(st.just("deploy"), st.fixed_dictionaries({"modelLabel": LABELS, "deployment": NAMES})),
    st.tuples(st.just("rollback"), st.fixed_dictionaries({"deployment": NAMES})),
    st.tuples(st.just("swapDeployments"), st.just({"first": "a", "second": "b"})),
    st.tuples(st.just("deleteDeployment"), st.fixed_dictionaries({"deployment": NAMES})),
    st.tuples(st.just("deleteModel"), st.fixed_dictionaries({"modelLabel": LABELS})),
    st.tuples(st.just("setRoute"), st.fixed_dictionaries({"name": NAMES, "deployment": NAMES})),
    st.tuples(st.just("deleteRoute"), st.fixed_dictionaries({"name": NAMES})),
    st.tuples(st.just("cancelJob"), st.fixed_dictionaries({"jobId": st.just("newest")})),
    st.tuples(st.just("(labels)"), st.just({})),
    st.tuples(st.just("(job ends)"), st.just({})),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(STEPS, st.sampled_from(["p", "q"])), max_size=40))
def test_after_any_commands_every_deployment_has_its_model_and_a_project_runs_one_job(
    steps: list[tuple[tuple[str, dict[str, str]], str]],
) -> None:
    registry, stored = Registry(), set[str]()
    for number, (step, where) in enumerate(steps):
        registry = _after(registry, stored, step, where, number)
        serving = {d.model.digest for d in registry.all(DeploymentRecord)}
        returning = {d.previous.digest for d in registry.all(DeploymentRecord) if d.previous}
        assert serving | returning | {m.digest for m in registry.all(ModelRecord)} <= stored
        active = [j.project for j in registry.all(JobRecord) if not j.status.ended]
        assert len(active) == len(set(active))
        homes = {p.name for p in registry.all(ProjectRecord)}
        assert {m.project for m in registry.all(ModelRecord)} <= homes
        assert {d.project for d in registry.all(DeploymentRecord)} <= homes
        assert {j.project for j in registry.all(JobRecord)} <= homes
        for route in registry.all(RouteRecord):
            assert route.deployment is None or registry.deployment(route.project, route.deployment)


def _after(registry: Registry, stored: set[str], step: tuple[str, dict[str, str]], where: str, number: int) -> Registry:
    """Do one step: a command through ``decide``, or what a trainer or an import would write."""
    name, parameters = step
    found = registry.project(where)
    running = [j for j in registry.of_project(where, JobRecord) if not j.status.ended]
    if name == "(labels)":
        ready = found and found.model_copy(update={"n_labelled": 10, "categories": ["c"]})
        return registry.after({record_key(ready): ready}) if ready else registry
    if name == "(job ends)":
        return _job_ended(registry, stored, running, number)
    if name == "cancelJob":
        parameters = {"jobId": running[0].id if running else "nothing"}
    given_ = COMMAND.validate_python({"id": f"c{number}", "command": name, "project": where, "parameters": parameters})
    decision = decide(registry, given_, at=AT)
    stored.difference_update(decision.garbage.models)
    assert decision.events[0].event in {EventType.ACCEPTED, EventType.REJECTED}
    return registry.after(decision.changes)


def _job_ended(registry: Registry, stored: set[str], running: list[JobRecord], number: int) -> Registry:
    changes: dict[str, Record | None] = {}
    for one in running:
        changes[record_key(one)] = one.model_copy(update={"status": JobStatus.SUCCEEDED})
        if one.train:
            made = model(one.train.model_label, digest(number), one.project)
            changes[record_key(made)] = made
            stored.add(made.digest)
    return registry.after(changes)
