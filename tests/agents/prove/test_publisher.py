"""The proof's publisher, with a client that stands still."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest

from agents.prove import publisher as module
from agents.prove.events import PARTITIONS, places
from agents.prove.publisher import Publisher
from agents.prove.timeline import Timeline
from agents.settings import Settings

Log = dict[tuple[str, int], list[bytes]]


def test_a_publisher_that_has_not_begun_can_be_ended() -> None:
    publisher = Publisher(Settings(), lambda _: b"", n_events=100, seconds=10.0, timeline=Timeline())
    publisher.stop()
    assert not publisher.done


class FakeProducer:
    """Writes to a log as soon as it is polled, and stands still after so many events.

    Attributes:
        log: What all of them wrote.
        left: After how many events each stands still; the last one answers for ever.
        unheard: How many events of one that stands still were written all the same.
    """

    log: Log
    left: list[int]
    unheard: int

    def __init__(self, _options: object) -> None:
        self._left = self.left.pop(0) if self.left else None
        self._queue: list[tuple[tuple[str, int], bytes, Callable[[Any, Any], None]]] = []
        self._unheard = self.unheard

    def __len__(self) -> int:
        return len(self._queue)

    def produce(self, topic: str, *, key: bytes, partition: int, on_delivery: Any, **_: object) -> None:
        self._queue.append(((topic, partition), key, on_delivery))

    def poll(self, _timeout: float) -> int:
        while self._queue and self._left != 0:
            place, key, heard = self._queue.pop(0)
            self.log[place].append(key)
            heard(None, None)
            self._left = None if self._left is None else self._left - 1
        for place, key, _ in self._queue[: self._unheard]:
            self.log[place].append(key)
        if self._queue:
            self._unheard = 0
        return 0

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return len(self._queue)

    def purge(self) -> None:
        self._queue.clear()


class FakeConsumer:
    """Knows where the log ends."""

    def __init__(self, _options: object) -> None:
        pass

    def get_watermark_offsets(self, place: Any, *, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return 0, len(FakeProducer.log[place.topic, place.partition])

    def close(self) -> None:
        pass


@pytest.mark.parametrize("left", [[], [0], [500], [500, 0, 300], [999]], ids=str)
@pytest.mark.parametrize("unheard", [0, 7])
def test_where_a_client_stands_still_another_goes_on_behind_what_kafka_has(
    left: list[int], unheard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"log": defaultdict(list), "left": [*left], "unheard": unheard}.items():
        monkeypatch.setattr(FakeProducer, name, value, raising=False)
    monkeypatch.setattr(confluent_kafka, "Producer", FakeProducer)
    monkeypatch.setattr(confluent_kafka, "Consumer", FakeConsumer)
    monkeypatch.setattr(module, "_STILL_S", 0.0)
    monkeypatch.setattr(module, "_SETTLED_S", 0.001)
    timeline = Timeline()
    publisher = Publisher(Settings(), lambda _: b"", n_events=1000, seconds=0.001, timeline=timeline)
    publisher._publish()
    assert (publisher.done, publisher.error, publisher.n_replaced) == (True, None, len(left))
    assert timeline.n_published == 1000
    for (_, partition), keys in FakeProducer.log.items():
        lane = keys[0].decode().partition("/")[0]
        assert keys == [
            place.id.encode() for place in places(1000) if (place.lane, place.partition) == (lane, partition)
        ]
    assert len(FakeProducer.log) == 2 * PARTITIONS
