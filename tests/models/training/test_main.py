import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.training.job import write_job
from schemas.names import Kind
from tests.models.training.workbench import class_documents, make_job


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "models.training", str(folder)],
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
def test_it_leaves_when_its_parent_does(tmp_path: Path) -> None:
    write_job(tmp_path / "job", make_job(tmp_path, Kind.SINGLE_LABEL), class_documents())
    process = start(tmp_path / "job")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=60) == 75
    if process.stdout is not None:
        process.stdout.close()
