"""A training that does what its model label says, in the words of ``python -m models.training``.

``good`` succeeds at once; ``bad`` fails; ``dies`` crashes; ``slow`` goes on until the store holds a file ``go``, and
notes each start of itself in ``starts``. It leaves when its standard input closes.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

DIGEST = f"sha256:{'a' * 64}"
EVALUATION = f"sha256:{'b' * 64}"


def say(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def leave_with_the_trainer() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    assert (folder / "documents.jsonl").exists()
    threading.Thread(target=leave_with_the_trainer, daemon=True).start()
    store = Path(urlparse(job["store"]).path)
    store.mkdir(parents=True, exist_ok=True)
    with (store / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    wanted = (job["train"] or {"modelLabel": "good"})["modelLabel"]
    print("a library prints something")
    say(event="progress", stage="training", fraction=0.25, remainingS=1.5, epoch=1, loss=0.5, score=0.1)
    if wanted == "dies":
        print("Traceback\nMemoryError: all is full", file=sys.stderr)
        sys.exit(9)
    if wanted == "bad":
        say(event="failed", problems=["Date: 1 label, expected 5", "Amount: no label"])
        sys.exit(1)
    while wanted == "slow" and not (store / "go").exists():
        time.sleep(0.05)
        say(event="progress", stage="training", fraction=0.5, remainingS=1)
    say(
        event="succeeded",
        digest=job["model"] or DIGEST,
        evaluation=EVALUATION,
        summary={"microF1": 0.75},
        backend="onnx-int8",
        plan={"backend": "onnx-int8", "streams": 2},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
