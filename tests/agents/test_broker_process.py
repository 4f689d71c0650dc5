"""A broker's process: found by its record, and ended."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agents.broker.process import Record, end, find, launch, recall, remember


def test_a_process_is_found_by_pid_start_and_argument(tmp_path: Path) -> None:
    child = launch([sys.executable, "-c", "import time; time.sleep(60)", "--home"], console=tmp_path / "console")
    while not child.cmdline():  # for a moment after the spawn the system does not know it
        assert child.is_running()
    record = Record(child.pid, child.create_time(), "127.0.0.1:1", "4.1.0")
    remember(record, path=tmp_path / "record")
    assert recall(tmp_path / "record") == record
    assert find(record, argument="--home") == child
    assert find(record, argument="--other") is None
    assert find(Record(child.pid, child.create_time() - 86_400, "", ""), argument="--home") is None
    end(child, patience_s=10)
    assert find(record, argument="--home") is None
    assert not psutil.pid_exists(child.pid)


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        end(psutil.Process(child.pid), patience_s=0.05)
        assert not psutil.pid_exists(child.pid)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_an_illegible_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "record").write_text(content, encoding="utf-8")
    assert recall(tmp_path / "record") is None
