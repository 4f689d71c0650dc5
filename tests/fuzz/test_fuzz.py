"""Each fuzz target for some seconds: it returns or raises an error of ours, whatever the bytes.

Longer, and from a terminal: ``python -m tests.fuzz NAME SECONDS``.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, corpus

SECONDS = 4
LEAST_RUNS = 100


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_passes(name: str) -> None:
    values = corpus(name)
    assert values
    for value in values:
        TARGETS[name](value)


def _fuzzed(name: str, folder: Path) -> tuple[str, int, str]:
    # NOTE: through a shell that forks. Linux counts the memory of whoever starts a program as that program's, if it is
    # started as Python does it, and the whole suite has more than the fuzzer allows.
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.fuzz", name, str(SECONDS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder)},
    )
    return name, done.returncode, done.stderr + done.stdout


@pytest.mark.slow
def test_no_target_breaks_in_some_seconds_of_fuzzing_and_nothing_is_left(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(partial(_fuzzed, folder=tmp_path), TARGETS))
    broken = {name: said[-1500:] for name, code, said in results if code != 0}
    assert broken == {}
    runs = {name: int((re.findall(r"Done (\d+) runs", said) or ["0"])[0]) for name, _, said in results}
    assert min(runs.values()) > LEAST_RUNS, runs
    assert list(tmp_path.iterdir()) == []
