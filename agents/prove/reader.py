"""Reads all outputs from their beginning with confluent-kafka, ``read_committed``, and has them judged."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from agents.prove.checker import Seen
from agents.prove.clients import consumer_options
from agents.prove.events import PARTITIONS
from agents.prove.timeline import Timeline
from agents.settings import Settings
from schemas.errors import LexstreamError

_POLL_S: Final = 0.2
_POLL_MESSAGES: Final = 1000
_AGAIN_S: Final = 0.2
_ASK_S: Final = 10.0
_CLOSE_S: Final = 5.0


class Judge(Protocol):
    """Judges each message; called in the reader's thread."""

    def enriched(self, message: Seen) -> None:
        """Judge a message of an output topic."""

    def dead_letter(self, message: Seen) -> None:
        """Judge a dead letter."""

    def control_event(self, message: Seen) -> None:
        """Take note of what happened."""


class Reader:
    """Reads in a thread of its own until told to stop.

    Attributes:
        first: Set when the first output was seen.
        error: What ended it before its time.
        n_held_back: How many messages nobody can read because a transaction is still open; known in the end.
    """

    def __init__(
        self,
        settings: Settings,
        judge: Judge,
        timeline: Timeline,
        *,
        also: Mapping[str, Callable[[Seen], None]] = {},
    ) -> None:
        topics = settings.topics
        self._settings = settings
        self._timeline = timeline
        self._judges = {
            topics.enriched: judge.enriched,
            topics.replies: judge.enriched,
            topics.dead_letters: judge.dead_letter,
            topics.control_events: judge.control_event,
            **also,
        }
        self._single = frozenset({topics.control_events, *also})
        self._ends: dict[tuple[str, int], int] = {}
        self._stop = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.first = threading.Event()
        self.error: BaseException | None = None
        self.n_held_back = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, patience_s: float) -> None:
        """Read to the very end, once nobody writes any more, and stop.

        Raises:
            LexstreamError: The end is too far away.
        """
        self._stop.set()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            raise LexstreamError(f"the reader did not reach the end within {patience_s:.0f} s")

    def close(self) -> None:
        """Stop wherever it is."""
        self._given_up.set()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:
            self.error = error

    def _read(self) -> None:
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer(consumer_options(self._settings))
        places = [
            TopicPartition(topic, partition, 0)
            for topic in self._judges
            for partition in range(1 if topic in self._single else PARTITIONS)
        ]
        consumer.assign(places)
        try:
            while not self._stop.is_set():
                self._poll(consumer)
            if not self._given_up.is_set():
                self._read_to(consumer, self._all_ends(places))
        finally:
            consumer.close()

    def _poll(self, consumer: Any) -> None:
        for message in consumer.consume(_POLL_MESSAGES, _POLL_S):
            if (error := message.error()) is None:
                self._judge(message)
            elif error.name() == "_PARTITION_EOF":
                self._ends[message.topic(), message.partition()] = message.offset()

    def _judge(self, message: Any) -> None:
        topic = message.topic()
        written = message.timestamp()[1] / 1000
        seen = Seen(topic, message.partition(), message.key(), message.value(), message.headers() or (), written)
        if topic not in self._single:
            if not self.first.is_set():
                self._timeline.begin()
                self.first.set()
            self._timeline.came_out()
        self._judges[topic](seen)

    def _all_ends(self, places: Any) -> dict[tuple[str, int], int]:
        """Return where the partitions end, with what no transaction has committed yet."""
        from confluent_kafka import Consumer

        options = consumer_options(self._settings) | {"isolation.level": "read_uncommitted"}
        asking, until = Consumer(options), time.monotonic() + _ASK_S
        try:
            return {(place.topic, place.partition): _end(asking, place, until) for place in places}
        finally:
            asking.close()

    def _read_to(self, consumer: Any, ends: dict[tuple[str, int], int]) -> None:
        """Read on until every partition's end is reached, or was not for as long as no transaction may be open."""
        until = time.monotonic() + self._settings.transaction_timeout_s + _ASK_S
        while self._behind(ends) and time.monotonic() < until and not self._given_up.is_set():
            self._poll(consumer)
        self.n_held_back = self._behind(ends)

    def _behind(self, ends: dict[tuple[str, int], int]) -> int:
        return sum(max(0, end - self._ends.get(place, 0)) for place, end in ends.items())


def _end(asking: Any, place: Any, until: float) -> int:
    """Return where a partition ends, from a leader that knows: one that has just become it says that it does not."""
    from confluent_kafka import KafkaException

    while True:
        try:
            return int(asking.get_watermark_offsets(place, timeout=_ASK_S)[1])
        except KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
