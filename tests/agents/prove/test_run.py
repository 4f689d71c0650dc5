"""Whole runs on a real Kafka, as small as they can be: one that proves, and those that must find what is wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from agents.cli.main import run as run_program
from agents.prove.schedule import BROKER_KINDS, schedule
from models.store import Store
from tests.agents.prove.prove_kit import RUN_S, RUN_SEEDS
from tests.broker import JARS
from tests.models.artefacts import make_manifest

LISTENS = """
import signal
from agents.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""The command as a terminal starts it: what a shell starts in the background would ignore Ctrl-C."""
pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _logs_that_are_kept_go_with_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that shares the jars of all tests."""
    (tmp_path / "home").mkdir()
    JARS.mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / "jars").symlink_to(JARS)
    return tmp_path / "home"


def prove(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = run_program(["prove", "--json", *words])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, printed


@pytest.mark.parametrize("seed", RUN_SEEDS)
def test_twenty_thousand_events_under_a_seeds_murders_lose_duplicate_and_reorder_nothing(
    capsys: pytest.CaptureFixture[str], home: Path, seed: int
) -> None:
    words = ["--events", "20000", "--seconds", str(RUN_S), "--seed", str(seed)]
    code, found = prove(capsys, "--home", str(home), *words)
    assert (code, found["verdict"]) == (0, "exactly once"), found
    assert found["published"] == found["cameOut"] == 20_000
    assert sum(found["timeline"]["cameOutPerS"]) == 20_000
    assert (found["notCommitted"], found["heldBack"]) == (0, 0)
    assert found["commands"]["messages"] > 2 * found["commands"]["handedIn"]
    assert len(found["murders"]) + found["murdersWithoutVictim"] == len(schedule(seed, RUN_S))
    assert found["murdersByKind"]["kill -9 a worker"] > 0
    assert found["models"]["trained"] > 0
    assert found["recovery"]
    assert found["workers"]["mistakes"] == {}


def test_a_real_model_answers_what_the_bare_engine_answers_though_its_workers_are_killed(
    capsys: pytest.CaptureFixture[str], home: Path, kafka: str
) -> None:
    store = Store((home / "store").as_uri())
    store.save_manifest(make_manifest(store))
    place = ["--brokers", kafka, "--home", str(home)]
    words = ["--model", "p/v1", "--backend", "onnx-fp32", "--events", "400", "--seconds", "10"]
    code, found = prove(capsys, *place, *words, "--only", "kill", "--kill-every", "7")
    assert (code, found["verdict"]) == (0, "exactly once"), found
    assert found["models"]["answered"] > 1
    assert found["murdersByKind"] == {"kill -9 a worker": 2}


def test_a_worker_that_commits_before_it_produces_is_caught_losing(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    words = ["--events", "4000", "--seconds", "12", "--sabotage", "commit-before-produce"]
    code, found = prove(capsys, "--home", str(home), *words)
    assert (code, found["verdict"]) == (1, "not exactly once")
    assert found["faults"]["lost"] > 0
    assert found["timeline"]["cameOutPerS"][-2:] == [0, 0], "the wait at the end is not shown"
    assert found["faults"]["duplicate"] == 0


def test_a_worker_with_transactional_ids_of_its_own_is_caught_duplicating(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    words = ["--events", "12000", "--seconds", "22", "--seed", "2", "--workers", "4", "--sabotage", "one-producer"]
    code, found = prove(capsys, "--home", str(home), *words)
    assert (code, found["verdict"]) == (1, "not exactly once")
    assert found["faults"]["duplicate"] > 0
    assert found["faults"]["lost"] == 0


def test_a_broker_of_somebody_else_is_neither_murdered_nor_left_with_topics(
    capsys: pytest.CaptureFixture[str], kafka: str
) -> None:
    code, found = prove(capsys, "--brokers", kafka, "--events", "2000", "--seconds", "10")
    assert (code, found["verdict"]) == (0, "exactly once"), found
    assert not BROKER_KINDS & found["murdersByKind"].keys()
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith("lexstream-prove-")]


def test_ctrl_c_ends_a_run_with_all_that_it_started_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    own = {name: value for name, value in os.environ.items() if not name.startswith("LEXSTREAM_")}
    with subprocess.Popen(
        [sys.executable, "-c", LISTENS, "prove", "--home", str(home), "--events", "400"],
        env=own | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C reaches a whole group
    ) as process:
        assert process.stderr
        first = process.stderr.readline()
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)
    assert "kill -9 a worker" in first, (first, said)
    assert (process.returncode, said[1].splitlines()[-1]) == (130, "lexstream: stopped"), said
    assert len(started) >= 4, "two workers, two trainers, a Kafka"
    assert psutil.wait_procs(started, timeout=5)[1] == []
    assert list(temporary.iterdir()) == []
