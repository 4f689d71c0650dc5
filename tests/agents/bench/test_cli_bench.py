import json
from pathlib import Path
from typing import Any

import pytest

from agents.bench import broker, run
from agents.cli.main import run as run_program
from schemas.errors import LexstreamError
from tests.agents.bench.bench_kit import findings


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


async def answering(_settings: object) -> bool:
    return True


def test_help_says_what_is_compared_and_how_the_clock_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    for words in (
        "bare engine",
        "naive worker",
        "read_committed",
        "--quick",
        "--out",
        "--rounds",
        "--json",
        "--brokers",
    ):
        assert words in said


def test_bench_writes_its_files_and_prints_one_line_for_machines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def measured(*_given: object, **_named: object) -> Any:
        return findings()

    monkeypatch.setattr(run, "measure", measured)
    monkeypatch.setattr(broker, "_answers", answering)
    assert run_program(["bench", "--quick", "--json", "--out", str(tmp_path / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "bench.json").read_bytes())
    assert (tmp_path / "out" / "bench.svg").read_text().startswith("<svg")


def test_a_subject_that_ends_is_one_line_and_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_given: object, **_named: object) -> Any:
        raise LexstreamError("the subject naive ended: out of memory")

    monkeypatch.setattr(run, "measure", broken)
    monkeypatch.setattr(broker, "_answers", answering)
    assert run_program(["bench"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "naive" in line] == ["lexstream: the subject naive ended: out of memory"]
