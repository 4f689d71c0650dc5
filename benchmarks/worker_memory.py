"""A worker's memory over many documents, and how long it takes from its start to the first answer.

    lexstream up                              # in another terminal, with the task's model deployed
    python benchmarks/worker_memory.py --task tickets/production --documents 20000 agents/demo/data/tickets/stream.jsonl

Starts a worker of its own on a lane of its own (an interactive one, so that its answers can be timed), sends it the
texts of a JSON lines file over and over, and prints its resident memory as it goes. Ratios matter, not the absolute
times: the broker, this script and whatever else runs share the cores.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil
from confluent_kafka import Consumer, Producer

from agents.interrupts import terminated_like_interrupted

LEXSTREAM = Path(sys.executable).parent / "lexstream"
PATIENCE_S = 60.0
LEAVE_S = 30.0


class Answers(Protocol):
    """Reads what comes out."""

    def consume(self, num_messages: int, *, timeout: float) -> Sequence[Any]:
        """Return what came, perhaps nothing."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="JSON lines with a text each")
    parser.add_argument("--task", required=True, action="append", help="PROJECT/DEPLOYMENT; may be given again")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--steps", type=int, default=10, help="how often memory is read")
    return parser.parse_args()


def values(path: Path, tasks: list[str]) -> Iterator[bytes]:
    """Give document events without end."""
    asked = [dict(zip(("project", "deployment"), task.split("/"), strict=True)) for task in tasks]
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    for number, text in enumerate(itertools.cycle(texts)):
        yield json.dumps({"id": f"m{number}", "text": text, "tasks": asked}).encode()


def main() -> None:
    """Measure."""
    options = parse()
    name = f"memory-{uuid.uuid4().hex[:6]}"
    lane = f"{name}:{name}-out:interactive"
    start = [str(LEXSTREAM), "--brokers", options.brokers]
    subprocess.run([*start, "topics", "create", "--lane", lane], check=True, stdout=subprocess.DEVNULL)
    producer = Producer({"bootstrap.servers": options.brokers, "linger.ms": 5})
    consumer = Consumer({"bootstrap.servers": options.brokers, "group.id": name, "isolation.level": "read_committed",
                         "auto.offset.reset": "earliest"})  # fmt: skip
    consumer.subscribe([f"{name}-out"])
    events = values(options.texts, options.task)
    producer.produce(name, next(events))
    producer.flush()
    begun = time.monotonic()
    worker = subprocess.Popen([*start, "worker", "--lane", lane, "--group", name, "--metrics-port", "0"])
    try:
        read(consumer, 1, worker=worker)
        print(f"start to first answer: {time.monotonic() - begun:.1f} s")
        process, done = psutil.Process(worker.pid), 1
        begun = time.monotonic()
        for step in range(1, options.steps + 1):
            target = 1 + options.documents * step // options.steps
            for value in itertools.islice(events, target - done):
                producer.produce(name, value)
                producer.poll(0)
            producer.flush()
            read(consumer, target - done, worker=worker)
            done = target
            rate = done / (time.monotonic() - begun)
            print(f"{done:>8} documents  {process.memory_info().rss / 1e6:7.0f} MB resident  {rate:7.0f} documents/s")
    finally:
        stop(worker)


def read(consumer: Answers, n: int, *, worker: "subprocess.Popen[bytes]", patience_s: float = PATIENCE_S) -> None:
    """Read ``n`` answers; leave if the worker has ended, or none comes for ``patience_s``."""
    last = time.monotonic()
    while n:
        if found := sum(message.error() is None for message in consumer.consume(min(n, 500), timeout=1.0)):
            n, last = n - found, time.monotonic()
        elif worker.poll() is not None:
            sys.exit(f"the worker ended with {worker.returncode}; what it said is above")
        elif time.monotonic() - last > patience_s:
            sys.exit(f"{n} answers are missing, and none came for {patience_s:.0f} s; look into the dead letters")


def stop(worker: "subprocess.Popen[bytes]") -> None:
    """Tell the worker to leave; one that does not is killed."""
    worker.terminate()
    try:
        worker.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


if __name__ == "__main__":
    with terminated_like_interrupted():
        main()
