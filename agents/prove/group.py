"""How far the workers' group has committed, asked of Kafka itself."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.prove.clients import confluent_options
from agents.prove.events import PARTITIONS, LaneName, n_of_partition
from agents.settings import Settings

ASK_S: Final = 5.0
_AGAIN_S: Final = 0.2
LAST_ASK_S: Final = 60.0
"""When nothing else is left to do: the coordinator may have moved just now."""


_Offsets = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Lag:
    """How far what is committed is from what was published.

    Attributes:
        n_behind: Events that were not consumed, of all partitions.
        n_beyond: How far beyond the ends of their partitions offsets were committed.
    """

    n_behind: int = 0
    n_beyond: int = 0


def lag(ends: _Offsets, committed: _Offsets) -> Lag:
    """Return how far a group is from the ends: a partition that is too far makes up for no other."""
    left = [end - committed.get(place, 0) for place, end in ends.items()]
    return Lag(sum(n for n in left if n > 0), -sum(n for n in left if n < 0))


class Group:
    """Asks for committed offsets; does not join."""

    def __init__(self, settings: Settings, n_events: int) -> None:
        from confluent_kafka import Consumer

        topics = settings.topics
        self._ends = {
            (topic, partition): n_of_partition(lane, partition, n_events)
            for topic, lane in ((topics.documents, LaneName.BULK), (topics.requests, LaneName.INTERACTIVE))
            for partition in range(PARTITIONS)
        }
        options = confluent_options(settings) | {
            "group.id": settings.group,
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 500,
        }
        self._consumer: Any = Consumer(options)

    def lag(self, *, patience_s: float = ASK_S) -> Lag | None:
        """Return how far the group has committed; ``None`` if Kafka does not answer in time."""
        from confluent_kafka import KafkaException, TopicPartition

        places, end = [TopicPartition(*place) for place in self._ends], time.monotonic() + patience_s
        found: list[Any] | None = None
        while found is None and (left_s := end - time.monotonic()) > 0:
            try:
                found = self._consumer.committed(places, timeout=left_s)
            except KafkaException:  # also at once, from a broker that no longer coordinates the group
                time.sleep(_AGAIN_S)
        if found is None:
            return None
        return lag(self._ends, {(at.topic, at.partition): max(int(at.offset), 0) for at in found})

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
