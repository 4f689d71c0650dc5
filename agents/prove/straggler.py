"""A slow consumer behind the workers: it lags, stands still for seconds, and takes its bytes through a thin pipe.

It must make no difference to anybody, and has to see in the end what the other reader saw, byte for byte.
"""

import threading
import time
from collections import defaultdict
from random import Random
from typing import Any, Final

from agents.prove.clients import consumer_options
from agents.prove.events import PARTITIONS
from agents.prove.sequence import Sequence
from agents.settings import Settings
from schemas.errors import LexstreamError

STANDS_STILL_S: Final = (2.0, 8.0)
READS_S: Final = (0.2, 1.0)
_POLL_S: Final = 0.2
_POLL_MESSAGES: Final = 100
_SLOW_LINK: Final = {
    "socket.receive.buffer.bytes": 8 * 1024,
    "fetch.max.bytes": 64 * 1024,
    "message.max.bytes": 64 * 1024,
    "fetch.message.max.bytes": 16 * 1024,
    "queued.max.messages.kbytes": 64,
}


class Straggler:
    """Reads the enriched documents in a thread of its own, a tenth of the time, until told to finish.

    Attributes:
        seen: What it saw, by partition.
        n_behind: How many messages it had not read when all others were done.
        error: What ended it before its time.
    """

    def __init__(self, settings: Settings, *, seed: int) -> None:
        self._settings = settings
        self._random = Random(f"straggler {seed}")  # noqa: S311 - no secret
        self._finish = threading.Event()
        self._given_up = threading.Event()
        self._wanted: dict[int, int] = {}
        self._next: dict[int, int] = defaultdict(int)
        self._thread = threading.Thread(target=self._run, name="straggler", daemon=True)
        self.seen: dict[int, Sequence] = defaultdict(Sequence)
        self.error: BaseException | None = None
        self.n_behind = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, wanted: dict[int, int], patience_s: float) -> None:
        """Read on without a pause until as many messages of each partition were seen as the other reader saw.

        Raises:
            LexstreamError: That takes too long.
        """
        self._wanted = wanted
        self._finish.set()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            raise LexstreamError(f"the slow reader did not reach the end within {patience_s:.0f} s")

    def close(self) -> None:
        """Stop wherever it is."""
        self._given_up.set()
        self._finish.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:
            self.error = error

    def _read(self) -> None:
        from confluent_kafka import Consumer, TopicPartition

        options = consumer_options(self._settings) | {"group.id": f"{self._settings.group}-straggler"}
        topic = self._settings.topics.enriched
        consumer = Consumer(options | _SLOW_LINK)
        try:
            consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
            while not self._finish.wait(self._random.uniform(*STANDS_STILL_S)):
                self._poll(consumer, self._random.uniform(*READS_S))
        finally:
            consumer.close()
        self.n_behind = self._n_behind
        consumer = Consumer(options)
        try:
            consumer.assign([TopicPartition(topic, place, self._next[place]) for place in range(PARTITIONS)])
            while self._n_behind and not self._given_up.is_set():
                self._poll(consumer, _POLL_S)
        finally:
            consumer.close()

    @property
    def _n_behind(self) -> int:
        return sum(max(0, count - self.seen[place].n_messages) for place, count in self._wanted.items())

    def _poll(self, consumer: Any, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for message in consumer.consume(_POLL_MESSAGES, _POLL_S):
                if message.error() is None:
                    self.seen[message.partition()].add(message.value())
                    self._next[message.partition()] = message.offset() + 1
