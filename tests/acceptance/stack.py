"""A whole Lexstream as its users have it: real processes started by the command line, seen only through Kafka.

Nothing here imports our packages: what these helpers find out, they find out with confluent-kafka and JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

Headers = Sequence[tuple[str, bytes]]
LEXSTREAM = Path(sys.executable).parent / "lexstream"
PROCESS_S = 60.0  # how long a process of ours may take to come up on a busy machine


@dataclass
class Stack:
    """One namespace on one broker, with the processes that serve it."""

    brokers: str
    namespace: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of our processes."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("LEXSTREAM_")},
            "LEXSTREAM_BROKERS": self.brokers,
            "LEXSTREAM_NAMESPACE": self.namespace,
            "LEXSTREAM_GROUP": self.namespace,
            "LEXSTREAM_STORE": (self.folder / "store").as_uri(),
            "LEXSTREAM_HOME": str(self.folder),
            "LEXSTREAM_METRICS_PORT": "0",
            **more,
        }

    def topic(self, name: str) -> str:
        """Return the whole name of one of our topics."""
        return f"{self.namespace}.{name}"

    def cli(self, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one command and return what it printed."""
        done = subprocess.run(
            [LEXSTREAM, *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == expect, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start one of our processes; its log goes to the folder."""
        log = self.folder / f"{words[0]}-{len(self.processes)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [LEXSTREAM, *words],
                env=self.environment(**environment),
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        self.processes.append(process)
        return process

    def logs(self) -> str:
        """Return the last lines of every process's log."""
        return "\n".join(
            f"== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in sorted(self.folder.glob("*.log"))
        )

    def stop(self) -> None:
        """End every process that still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)

    def produce(self, topic: str, records: Iterable[tuple[int | None, bytes | None, bytes | None, Headers]]) -> int:
        """Send ``(partition, key, value, headers)`` records and wait until all are delivered."""
        failures: list[KafkaError] = []
        producer = Producer(
            {"bootstrap.servers": self.brokers, "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"}
        )
        sent = 0
        for partition, key, value, headers in records:
            producer.produce(
                topic,
                key=key,
                value=value,
                headers=list(headers),
                on_delivery=lambda error, _: failures.append(error) if error else None,
                partition=-1 if partition is None else partition,
            )
            sent += 1
            producer.poll(0)
        assert producer.flush(60) == 0
        assert not failures, failures
        return sent

    def read(self, *topics: str, until: Callable[[list[Message]], bool], timeout_s: float = 90) -> list[Message]:
        """Read topics from their beginning, ``read_committed``, until enough is there."""
        found: list[Message] = []
        with reader(self.brokers, topics) as messages:
            end = time.monotonic() + timeout_s
            for message in messages:
                if message is not None:
                    found.append(message)
                if message is None or len(found) % 50 == 0:
                    if until(found):
                        break
                    assert time.monotonic() < end, (
                        f"after {timeout_s} s only {len(found)} messages in {topics}\n{self.logs()}"
                    )
            # whatever comes too much comes now
            quiet = time.monotonic() + 1.5
            for message in messages:
                if message is not None:
                    found.append(message)
                elif time.monotonic() > quiet:
                    break
        return found

    def count(self, *topics: str, n: int, timeout_s: float = 90) -> list[Message]:
        """Read topics until ``n`` messages are there, and a little longer to see that no more come."""
        return self.read(*topics, until=lambda found: len(found) >= n, timeout_s=timeout_s)

    def events(self, *, until: Callable[[list[dict[str, Any]]], bool], timeout_s: float = 90) -> list[dict[str, Any]]:
        """Read the control events until enough happened."""
        messages = self.read(
            self.topic("control-events"), until=lambda found: until(list(map(body, found))), timeout_s=timeout_s
        )
        return list(map(body, messages))


@contextmanager
def reader(brokers: str, topics: Sequence[str]) -> Iterator[Iterator[Message | None]]:
    """Give the messages of ``topics`` from the beginning, and ``None`` whenever there are none for a moment."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "acceptance", "isolation.level": "read_committed",
         "enable.auto.commit": False, "auto.offset.reset": "earliest", "fetch.message.max.bytes": 32 << 20}
    )  # fmt: skip
    found = consumer.list_topics(timeout=20).topics
    consumer.assign([TopicPartition(topic, number, 0) for topic in topics for number in found[topic].partitions])

    def messages() -> Iterator[Message | None]:
        while True:
            message = consumer.poll(0.2)
            if message is not None and message.error():
                continue  # a broker that is away is not an answer
            yield message

    try:
        yield messages()
    finally:
        consumer.close()


def body(message: Message) -> dict[str, Any]:
    """Return a message's JSON."""
    found: dict[str, Any] = json.loads(message.value() or b"null")
    return found


def headers(message: Message) -> dict[str, str]:
    """Return a message's headers as text; the last of a name counts."""
    pairs: Sequence[tuple[str, bytes]] = message.headers() or []  # type: ignore[assignment]
    return {name: (value or b"").decode("utf-8", "replace") for name, value in pairs}


def source(message: Message) -> tuple[str, int, int]:
    """Return where the input event of an output stood."""
    found = headers(message)
    if "lexstream-source" in found:
        topic, partition, offset = found["lexstream-source"].rsplit("/", 2)
    else:
        topic, partition, offset = (found[f"__connect.errors.{name}"] for name in ("topic", "partition", "offset"))
    return topic, int(partition), int(offset)
