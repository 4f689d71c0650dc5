"""The topics: what they are called and how they have to be set up. Pure data; nobody talks to Kafka here."""

from collections.abc import Iterable
from dataclasses import dataclass, field

DOCUMENT_BYTES = 8 * 1024 * 1024
"""Largest document event, unless set otherwise. An enriched document may be 2.5 times as large."""

CONTROL_PARTITIONS = 1
"""One partition orders everything that is done to the projects."""

LABELS_PARTITIONS = 4
JOBS_PARTITIONS = 8
"""At most this many trainers are at work at once."""

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topics:
    """The names of a namespace's topics."""

    namespace: str = "lexstream"

    @property
    def documents(self) -> str:
        """Bulk lane in."""
        return f"{self.namespace}.documents"

    @property
    def enriched(self) -> str:
        """Bulk lane out."""
        return f"{self.namespace}.enriched"

    @property
    def requests(self) -> str:
        """Interactive lane in."""
        return f"{self.namespace}.requests"

    @property
    def replies(self) -> str:
        """Interactive lane out."""
        return f"{self.namespace}.replies"

    @property
    def dead_letters(self) -> str:
        """Events that could not be enriched."""
        return f"{self.namespace}.dead-letters"

    @property
    def replays(self) -> str:
        """Which dead letters were sent back. Made by the first replay."""
        return f"{self.namespace}.replays"

    @property
    def control(self) -> str:
        """Commands."""
        return f"{self.namespace}.control"

    @property
    def control_events(self) -> str:
        """What happened."""
        return f"{self.namespace}.control-events"

    @property
    def registry(self) -> str:
        """The current records of projects, models, deployments, jobs and routes."""
        return f"{self.namespace}.registry"

    @property
    def labels(self) -> str:
        """Labelled documents."""
        return f"{self.namespace}.labels"

    @property
    def jobs(self) -> str:
        """The trainers' work queue."""
        return f"{self.namespace}.jobs"

    def route(self, name: str) -> str:
        """Return the topic of the route ``name``."""
        return f"{self.namespace}.routes.{name}"

    def route_name(self, topic: str) -> str | None:
        """Return the route that ``topic`` belongs to, or ``None``."""
        prefix = self.route("")
        return topic.removeprefix(prefix) if topic.startswith(prefix) else None


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic has to be set up. What ``config`` does not name stays at the broker's default."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str] = field(default_factory=dict)


def topic_specs(
    topics: Topics,
    *,
    partitions: int,
    replication: int = 1,
    routes: Iterable[str] = (),
    document_bytes: int = DOCUMENT_BYTES,
) -> list[TopicSpec]:
    """Return every topic of the namespace.

    Args:
        topics: The names.
        partitions: Of each input, output, dead-letter and route topic: an output is written to the partition its
            input came from, so all of them have equally many.
        replication: How many brokers keep each partition. From three on, a write waits for two of them.
        routes: Names of the routes there are.
        document_bytes: Largest document event.
    """
    inputs = [topics.documents, topics.requests]
    outputs = [topics.enriched, topics.replies, *map(topics.route, routes)]
    small = _limit(document_bytes)
    large = _limit(document_bytes * 5 // 2)
    plan: list[tuple[str, int, dict[str, str]]] = [
        *((name, partitions, small) for name in inputs),
        *((name, partitions, large) for name in outputs),
        (topics.dead_letters, partitions, large | _kept_for(30)),
        (topics.control, CONTROL_PARTITIONS, small | _kept_for(30)),
        (topics.control_events, CONTROL_PARTITIONS, small | _FOREVER),
        (topics.registry, CONTROL_PARTITIONS, small | _COMPACTED),
        (topics.labels, LABELS_PARTITIONS, small | _COMPACTED),
        (topics.jobs, JOBS_PARTITIONS, small | _kept_for(30)),
    ]
    safe = {"min.insync.replicas": "2"} if replication > 2 else {}  # noqa: PLR2004 - a majority of three
    return [TopicSpec(name, count, replication, config | safe) for name, count, config in plan]


def _limit(n_bytes: int) -> dict[str, str]:
    return {"max.message.bytes": str(n_bytes)}


def _kept_for(days: int) -> dict[str, str]:
    return {"retention.ms": str(days * _DAY_MS)}


_FOREVER = {"retention.ms": "-1"}

# A reader starts from the beginning, so the log is kept short: the active segment is closed after an hour, compacted
# when a tenth of it is stale, and what was deleted is really gone after a day at the latest.
_COMPACTED = _FOREVER | {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": str(_DAY_MS),
    "segment.ms": str(_DAY_MS // 24),
}
