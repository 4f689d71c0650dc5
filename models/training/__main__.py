"""``python -m models.training JOB_DIR``: the child process of a trainer.

Progress and the outcome go to standard output as JSON lines. When standard input closes, the trainer is gone, and so
is this process, at once; the next trainer goes on from the last checkpoint.
"""

import logging
import os
import sys
import threading
import warnings
from pathlib import Path

from pydantic import ValidationError

from models.training.job import read_job
from models.training.progress import Progress, print_line
from schemas.codecs.validation import sentences
from schemas.control_events import few
from schemas.errors import DISK_FULL, Disposition, InvalidInput, LexstreamError, NoSpace

_ENVIRONMENT = {
    # Threads that wait for each other sleep instead of spinning: trainers share their processors with workers.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
_BAD_JOB = 1
_TRY_AGAIN = 75
"""What sysexits.h calls a temporary failure: nothing is wrong with the job."""
_NO_SPACE = 74
"""What it calls an error of input or output: the disk is full."""
_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad allocation", "bad_alloc")
"""What libraries say in errors of their own when there is no memory."""


def _leave_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(_TRY_AGAIN)


def _problems(error: LexstreamError) -> list[str]:
    return error.problems if isinstance(error, InvalidInput) else [str(error)]


def main(folder: Path) -> int:
    """Do the job in ``folder`` and return the exit status."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    warnings.simplefilter("ignore")
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    from models.training.run import run_job  # imports torch, which reads the environment once

    try:
        job, documents = read_job(folder)
        print_line(run_job(job, documents, progress=Progress()).event())
    except ValidationError as error:
        print_line({"event": "failed", "problems": few(sentences(error, within="job"))})
        return _BAD_JOB
    except LexstreamError as error:
        print_line({"event": "failed", "problems": _problems(error)})
        return _status_of(error)
    except (MemoryError, OSError, RuntimeError) as error:
        if (problem := _of_machine(error)) is None:
            raise
        print_line({"event": "failed", "problems": [problem]})
        return _NO_SPACE if isinstance(error, OSError) else _BAD_JOB
    return 0


def _status_of(error: LexstreamError) -> int:
    if isinstance(error, NoSpace):
        return _NO_SPACE
    return _TRY_AGAIN if error.disposition is Disposition.RETRY else _BAD_JOB


def _of_machine(error: Exception) -> str | None:
    """Say what this machine lacks; nothing for an error of another kind."""
    if isinstance(error, OSError):
        if error.errno not in DISK_FULL:
            return None
        return f"the trainer's disk has no room ({error.strerror}): free some in its temporary folder and train again"
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _MEMORY_SIGNS):
        return (
            "got no memory for the training, expected more: give the trainer some, or train with a smaller encoder "
            "or with the method frozen"
        )
    return None


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  (the program and the folder)
        sys.exit("usage: python -m models.training JOB_DIR")
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(status)  # the thread that waits for standard input must not keep the process
