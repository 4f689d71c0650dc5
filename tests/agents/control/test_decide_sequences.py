"""What holds after any sequence of commands."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.control.decide import decide
from agents.registry import Registry
from schemas.commands import COMMAND
from schemas.control_events import EventType
from schemas.records import (
    DeploymentRecord,
    JobRecord,
    JobStatus,
    ModelRecord,
    ProjectRecord,
    Record,
    RouteRecord,
    record_key,
)
from tests.agents.control.decide_kit import AT, digest, model

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
