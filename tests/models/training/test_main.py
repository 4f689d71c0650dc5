import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.training.job import write_job
from schemas.names import Kind
from tests.models.training.workbench import class_documents, make_job


def start(folder: Path, *, before: str = "pass") -> subprocess.Popen[str]:
    """Start a job; ``before`` is what its process does first."""
    program = f"import runpy\n{before}\nrunpy.run_module('models.training', run_name='__main__')"
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def events_of(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    assert process.stdout is not None
    return [json.loads(line) for line in process.stdout]


@pytest.mark.slow
def test_a_job_ends_with_one_line_that_says_how(tmp_path: Path) -> None:
    write_job(tmp_path / "job", make_job(tmp_path, Kind.SINGLE_LABEL), class_documents())
    with start(tmp_path / "job") as process:
        events = events_of(process)
    assert process.returncode == 0
    assert {event["event"] for event in events[:-1]} == {"progress"}
    last = events[-1]
    assert last["event"] == "succeeded"
    assert {"digest", "evaluation", "summary", "backend", "plan", "tuning"} <= set(last)
    assert 0 <= last["summary"]["microF1"] <= 1


@pytest.mark.slow
def test_problems_are_listed(tmp_path: Path) -> None:
    write_job(tmp_path / "job", make_job(tmp_path, Kind.SINGLE_LABEL), class_documents(3))
    with start(tmp_path / "job") as process:
        events = events_of(process)
    assert process.returncode == 1
    assert events == [{"event": "failed", "problems": ["got 3 labelled documents, expected at least 10"]}]


@pytest.mark.slow
def test_a_job_that_is_none_is_told_in_our_words(tmp_path: Path) -> None:
    job = make_job(tmp_path, Kind.SINGLE_LABEL)
    write_job(tmp_path / "job", job, class_documents())
    broken = json.loads(job.model_dump_json(by_alias=True)) | {"kind": "Poetry", "language": 5, "secret": "x"}
    (tmp_path / "job" / "job.json").write_text(json.dumps(broken))
    with start(tmp_path / "job") as process:
        (event,) = events_of(process)
    assert process.returncode == 1
    assert event["event"] == "failed"
    assert any(problem.startswith("job.kind: expected one of ") for problem in event["problems"])
    assert "job.language: expected text, got a number" in event["problems"]
    assert not any("Input should" in problem for problem in event["problems"])


@pytest.mark.slow
def test_it_leaves_when_its_parent_does(tmp_path: Path) -> None:
    write_job(tmp_path / "job", make_job(tmp_path, Kind.SINGLE_LABEL), class_documents())
    process = start(tmp_path / "job")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=60) == 75
    if process.stdout is not None:
        process.stdout.close()


CUT_SHORT = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (3_990_000, 3_990_000))  # room for weights and INT8, but not for FP32
"""


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    write_job(tmp_path / "job", make_job(tmp_path, Kind.SINGLE_LABEL), class_documents())
    with start(tmp_path / "job", before=CUT_SHORT) as process:
        events = events_of(process)
    assert process.returncode == 74
    assert events[-1]["event"] == "failed"
    (problem,) = events[-1]["problems"]
    assert "has no room (File too large): free some" in problem
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


WITHOUT_MEMORY = """
import models.training.run as run
def give_up(*_, **__):
    raise MemoryError
run._learn = give_up
"""


@pytest.mark.slow
def test_a_machine_without_memory_is_one_line(tmp_path: Path) -> None:
    write_job(tmp_path / "job", make_job(tmp_path, Kind.SINGLE_LABEL), class_documents())
    with start(tmp_path / "job", before=WITHOUT_MEMORY) as process:
        events = events_of(process)
    assert process.returncode == 1
    assert events[-1]["event"] == "failed"
    assert events[-1]["problems"][0].startswith("got no memory for the training, expected more: give the trainer some")
