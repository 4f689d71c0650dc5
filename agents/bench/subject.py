"""A subject: what is measured, in a process of its own. ``python -m agents.bench.subject``, driven over stdin.

The first line of stdin is the ``Spec``; each further one a question. Each answer is one line of stdout, the first of
them says that the subject is ready. What libraries print goes to stderr.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Final, Protocol

import orjson

SUBJECTS: Final[Mapping[str, str]] = {
    "model": "agents.bench.preparing:Preparing",
    "torch": "agents.bench.bare:TorchBatches",
    "bare": "agents.bench.bare:BareEngine",
    "exactly-once": "agents.bench.worker:ExactlyOnce",
    "at-least-once": "agents.bench.worker:AtLeastOnce",
    "echo": "agents.bench.worker:Echo",
    "naive": "agents.bench.naive:Naive",
}
_MEGABYTE: Final = 1024.0


@dataclass(frozen=True)
class Spec:
    """What a subject is told.

    Attributes:
        kind: A key of ``SUBJECTS``.
        store: URL of the store with the model.
        digest: The model, once it is made.
        folder: Where transformers finds the same model, and where results are put.
        plan: How the engine runs it.
        settings: For those that read Kafka.
    """

    kind: str
    store: str
    folder: str
    digest: str = ""
    plan: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return one line."""
        return orjson.dumps(asdict(self), default=str)


class Subject(Protocol):
    """What is measured."""

    async def start(self) -> None:
        """Get ready: load, warm up, join."""

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Do what the question says."""

    async def stop(self) -> None:
        """End in order."""


def usage() -> dict[str, float]:
    """Return the processor time that this process has taken so far, and the most memory that it has had."""
    return {
        "cpu_s": time.process_time(),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE,
    }


def make(spec: Spec) -> Subject:
    """Return the subject; only what it needs is imported."""
    module, name = SUBJECTS[spec.kind].split(":")
    made: Subject = getattr(import_module(module), name)(spec)
    return made


async def serve(read: Callable[[], bytes], write: Callable[[bytes], None]) -> None:
    """Answer questions until there are no more."""
    subject = make(Spec(**orjson.loads(read())))
    await subject.start()
    write(orjson.dumps({"ready": True, **usage()}))
    while line := await asyncio.to_thread(read):
        question = orjson.loads(line)
        answer = {} if question["do"] == "usage" else await subject.ask(question)
        write(orjson.dumps({**usage(), **answer}))
    await subject.stop()


def main() -> None:
    """Run as a process."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def write(line: bytes) -> None:
        out.write(line + b"\n")

    asyncio.run(serve(sys.stdin.buffer.readline, write))
    sys.stderr.flush()
    os._exit(0)  # torch takes seconds to leave


if __name__ == "__main__":
    main()
