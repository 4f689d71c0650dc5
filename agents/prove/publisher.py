"""Publishes the events at an even pace, in a thread of its own; idempotent, so it makes no duplicates itself.

librdkafka's producer sometimes sends nothing more after a broker was away (confluentinc/librdkafka#5080), though Kafka
answers. Then another one goes on behind what Kafka has: an event's offset says which it is.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from agents.prove.clients import consumer_options, producer_options
from agents.prove.events import HEADER, PARTITIONS, LaneName, Place, places
from agents.prove.timeline import Timeline
from agents.settings import Settings

_TICK_S: Final = 0.01
_FLUSH_S: Final = 0.5
_QUEUED: Final = 20_000
_CLOSE_S: Final = 5.0
_STILL_S: Final = 30.0
"""How long nothing may be acknowledged: longer than any broker is away, and less than a run waits."""
_ASK_S: Final = 5.0
_SETTLED_S: Final = 2.0

_Ends = Mapping[tuple[str, int], int]


class Publisher:
    """Publishes ``n_events`` over ``seconds``; behind its time, as fast as it can.

    Attributes:
        error: What ended it before its time.
        done: Whether Kafka has acknowledged all.
        heard: What the client said last, if it said anything.
        n_replaced: How many clients stood still and were replaced.
    """

    def __init__(
        self,
        settings: Settings,
        value_of: Callable[[Place], bytes | None],
        *,
        n_events: int,
        seconds: float,
        timeline: Timeline,
    ) -> None:
        self._settings = settings
        self._value_of = value_of
        self._n_events = n_events
        self._per_s = n_events / seconds
        self._timeline = timeline
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.error: BaseException | None = None
        self.done = False
        self.heard = ""
        self.n_replaced = 0
        self._moved = 0.0
        topics = settings.topics
        self._names = {LaneName.BULK: topics.documents, LaneName.INTERACTIVE: topics.requests}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, also if not everything is published, or it has not begun."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            self._publish()
        except BaseException as error:
            self.error = error

    def _publish(self) -> None:
        started, ends = time.monotonic(), dict[tuple[str, int], int]()
        while not self._stop.is_set():
            if self._sent_by_one(started, ends):
                self.done = not self._stop.is_set()
                return
            ends = self._ends()
            self.n_replaced += 1
            for _ in range(sum(ends.values()) - self._timeline.n_published):
                self._timeline.published()

    def _sent_by_one(self, started: float, ends: _Ends) -> bool:
        """Publish what lies behind ``ends`` by one client; return whether that is over, and not just stands still."""
        from confluent_kafka import Producer

        producer = Producer(producer_options(self._settings) | {"error_cb": self._listen})
        for at, place in enumerate(places(self._n_events)):
            if place.offset < ends.get((self._names[place.lane], place.partition), 0):
                continue
            while not self._stop.is_set() and (self._early(at, started) or len(producer) > _QUEUED):
                producer.poll(_TICK_S)
                if self._stands_still(producer):
                    return False
            if self._stop.is_set():
                return True
            self._produce(producer, place)
        while producer.flush(_FLUSH_S) and not self._stop.is_set():
            if self._stands_still(producer):
                return False
        return True

    def _produce(self, producer: Any, place: Place) -> None:
        if not len(producer):
            self._moved = time.monotonic()
        producer.produce(
            self._names[place.lane],
            key=place.id.encode(),
            value=self._value_of(place),
            headers=[(HEADER, place.id.encode())],
            partition=place.partition,
            on_delivery=self._delivered,
        )

    def _stands_still(self, producer: Any) -> bool:
        """Return whether nothing was acknowledged for too long; then the client lets go of all that it has."""
        if not len(producer) or time.monotonic() - self._moved < _STILL_S:
            return False
        producer.purge()
        return True

    def _ends(self) -> dict[tuple[str, int], int]:
        """Return how many events each partition has, when nothing of the last client's is on its way any more."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        asking, before = Consumer(consumer_options(self._settings)), dict[tuple[str, int], int]()
        inputs = [(name, number) for name in self._names.values() for number in range(PARTITIONS)]
        try:
            while not self._stop.wait(_SETTLED_S):
                try:
                    ends = {
                        each: asking.get_watermark_offsets(TopicPartition(*each), timeout=_ASK_S)[1] for each in inputs
                    }
                except KafkaException:
                    continue
                if ends == before:
                    return ends
                before = ends
        finally:
            asking.close()
        return before

    def _early(self, at: int, started: float) -> bool:
        return at > (time.monotonic() - started + _TICK_S) * self._per_s

    def _listen(self, error: object) -> None:
        self.heard = str(error)

    def _delivered(self, error: Any, _message: object) -> None:
        if error is None:
            self._moved = time.monotonic()
            self._timeline.published()
        elif not error.name().startswith("_PURGE"):  # else another client sends it
            self.error = RuntimeError(f"an event could not be published: {error}")
