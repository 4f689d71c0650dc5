"""Refusals of the decision table: each names all that is wrong, and changes nothing."""

import pytest

from agents.control.decide import decide
from agents.registry import Registry
from schemas.commands import Command
from schemas.records import JobStatus
from tests.agents.control.decide_kit import AT, FULL, ONE, command, job, model, problems, project, state

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
