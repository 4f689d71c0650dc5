"""How far the workers' group has committed, asked of Kafka itself."""

import time
from typing import Any, Final

from agents.prove.clients import confluent_options
from agents.prove.events import PARTITIONS, LaneName, n_of_partition
from agents.settings import Settings

ASK_S: Final = 5.0
_AGAIN_S: Final = 0.2
LAST_ASK_S: Final = 60.0
"""When nothing else is left to do: the coordinator may have moved just now."""


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

    def n_uncommitted(self, *, patience_s: float = ASK_S) -> int | None:
        """Return how many events were not consumed; ``None`` if Kafka does not answer in time."""
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
        n_committed = sum(max(int(at.offset), 0) for at in found)
        return sum(self._ends.values()) - n_committed

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
