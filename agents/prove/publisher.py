"""Publishes the events at an even pace, in a thread of its own; idempotent, so it makes no duplicates itself."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from agents.prove.clients import producer_options
from agents.prove.events import HEADER, LaneName, Place, places
from agents.prove.timeline import Timeline
from agents.settings import Settings

_TICK_S: Final = 0.01
_FLUSH_S: Final = 0.5
_QUEUED: Final = 20_000
_CLOSE_S: Final = 5.0


class Publisher:
    """Publishes ``n_events`` over ``seconds``; behind its time, as fast as it can.

    Attributes:
        error: What ended it before its time.
        done: Whether Kafka has acknowledged all.
        heard: What the client said last, if it said anything.
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
        from confluent_kafka import Producer

        producer = Producer(producer_options(self._settings) | {"error_cb": self._listen})
        topics = self._settings.topics
        names = {LaneName.BULK: topics.documents, LaneName.INTERACTIVE: topics.requests}
        started = time.monotonic()
        for at, place in enumerate(places(self._n_events)):
            while not self._stop.is_set() and (self._early(at, started) or len(producer) > _QUEUED):
                producer.poll(_TICK_S)
            if self._stop.is_set():
                return
            producer.produce(
                names[place.lane],
                key=place.id.encode(),
                value=self._value_of(place),
                headers=[(HEADER, place.id.encode())],
                partition=place.partition,
                on_delivery=self._delivered,
            )
        while producer.flush(_FLUSH_S) and not self._stop.is_set():
            pass
        self.done = not self._stop.is_set()

    def _early(self, at: int, started: float) -> bool:
        return at > (time.monotonic() - started + _TICK_S) * self._per_s

    def _listen(self, error: object) -> None:
        self.heard = str(error)

    def _delivered(self, error: Any, _message: object) -> None:
        if error is not None:
            self.error = RuntimeError(f"an event could not be published: {error}")
        else:
            self._timeline.published()
