"""``python -m tests.fuzz NAME [SECONDS]``: fuzz a target; leaves with 0, or with what was found and something else."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["schemas", "agents.control"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS, corpus

MOST_MB = 1024
SLOWEST_S = 5
FOUND = "found-"


def main(name: str, seconds: str = "120") -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    child = os.fork()  # the fuzzer leaves its process without a chance to tidy up
    if child == 0:
        fuzz(name, folder, seconds)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        if not list(folder.glob(f"{FOUND}*")):
            shutil.rmtree(folder)
    sys.exit(os.waitstatus_to_exitcode(status))


def fuzz(name: str, folder: Path, seconds: str) -> None:
    for number, value in enumerate(corpus(name)):
        (folder / str(number)).write_bytes(value)
    words = [
        sys.argv[0],
        str(folder),
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST_S}",
        f"-rss_limit_mb={MOST_MB}",
        "-max_len=4096",
        f"-artifact_prefix={folder}/{FOUND}",
        "-seed=1",
    ]
    atheris.Setup(words, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
