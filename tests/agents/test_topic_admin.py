"""What the nodes of a cluster say of topics: also one that has not heard of a topic yet, or knows no partitions."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import InvalidRequestError, KafkaError, LeaderNotAvailableError, UnknownTopicOrPartitionError

from agents.hotloop.limits import Limits, read_limits
from agents.replay import read_targets
from agents.replayed import create_replays
from agents.topic_admin import TopicAdmin
from agents.topics import check_topics
from schemas.errors import Unavailable
from schemas.topics import TopicSpec
from tests.agents.control_kit import settings_of

SETTINGS = settings_of("nowhere:1", "ns", Path("/nowhere"))
TOLD = [("max.message.bytes", "30000000")]


class Nodes:
    """Kafka as aiokafka's admin client shows it, of which the first nodes that are asked answer with an error."""

    codes: list[int] = []

    def __init__(self, **_: object) -> None: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...

    async def describe_topics(self, names: Iterable[str]) -> list[dict[str, Any]]:
        return [{"topic": name, "error_code": 0, "partitions": [{"replicas": [1, 2, 3]}]} for name in names]

    async def describe_configs(self, resources: Iterable[Any]) -> list[Any]:
        code = self.codes.pop(0) if self.codes else 0
        rows = [(code, None, 2, resource.name, [] if code else TOLD) for resource in resources]
        return [SimpleNamespace(resources=rows)]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> type[Nodes]:
    class Ours(Nodes):
        codes: list[int] = []

    monkeypatch.setattr("agents.topic_admin.AIOKafkaAdminClient", Ours)
    monkeypatch.setattr("agents.topic_admin.PAUSE_S", 0)
    return Ours


async def test_settings_that_a_node_does_not_know_yet_are_asked_for_again(nodes: type[Nodes]) -> None:
    nodes.codes = [UnknownTopicOrPartitionError.errno] * 2
    async with TopicAdmin(SETTINGS) as admin:
        assert await admin.configs(["ns.documents"]) == {"ns.documents": dict(TOLD)}


@pytest.mark.parametrize(
    ("code", "spread_s"), [(UnknownTopicOrPartitionError.errno, 0), (InvalidRequestError.errno, 9)]
)
async def test_settings_that_nobody_tells_are_not_taken_for_none(
    nodes: type[Nodes], monkeypatch: pytest.MonkeyPatch, code: int, spread_s: int
) -> None:
    monkeypatch.setattr("agents.topic_admin.SPREAD_S", spread_s)
    nodes.codes = [code] * 2
    with pytest.raises(Unavailable, match=r"settings of topic ns\.documents cannot be read: Kafka says: "):
        await check_topics(SETTINGS)


async def test_topics_that_are_seen_nowhere_after_they_were_made_are_named(
    nodes: type[Nodes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_admin: Nodes, _names: Iterable[str]) -> list[dict[str, Any]]:
        return []

    async def made(_admin: Nodes, topics: Iterable[Any], **_: object) -> Any:
        return SimpleNamespace(topic_errors=[(topic.name, 0, None) for topic in topics])

    monkeypatch.setattr(nodes, "describe_topics", none)
    monkeypatch.setattr(nodes, "create_topics", made, raising=False)
    monkeypatch.setattr("agents.topic_admin._CREATED_S", 0.01)
    specs = [
        TopicSpec("ns.documents", partitions=1, replication=1),
        TopicSpec("ns.enriched", partitions=1, replication=1),
    ]
    async with TopicAdmin(SETTINGS) as admin:
        with pytest.raises(Unavailable, match=r"ns\.documents, ns\.enriched cannot be seen 0 s after they were made"):
            await admin.create(specs)


@pytest.mark.parametrize("error", [KafkaError("no"), TimeoutError(), ConnectionResetError()])
async def test_limits_that_nobody_tells_are_taken_for_the_default(
    error: Exception, nodes: type[Nodes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_admin: Nodes, _resources: Iterable[Any]) -> list[Any]:
        raise error

    monkeypatch.setattr(nodes, "describe_configs", silent)
    monkeypatch.setattr("agents.hotloop.limits.AIOKafkaAdminClient", nodes)
    limits = Limits(1000)
    await read_limits(limits, ["ns.documents"], {})
    assert limits("ns.documents") == 1000


class Listing(Nodes):
    """Kafka of three nodes that lists a topic with an error: none of its partitions is known."""

    made: list[tuple[str, int]] = []

    async def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [1, 2, 3]}

    async def describe_topics(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        broken = {"topic": "ns.dead-letters", "error_code": LeaderNotAvailableError.errno, "partitions": []}
        other = {"topic": "orders", "error_code": LeaderNotAvailableError.errno, "partitions": []}
        return [*await super().describe_topics(["ns.documents"]), broken, other]

    async def create_topics(self, topics: Iterable[Any]) -> Any:
        self.made += [(topic.name, topic.replication_factor) for topic in topics]
        return SimpleNamespace(topic_errors=[("ns.replays", 0, None)])


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> type[Listing]:
    class Ours(Listing):
        made: list[tuple[str, int]] = []

    for module in ("topic_admin", "replayed", "hotloop.limits"):
        monkeypatch.setattr(f"agents.{module}.AIOKafkaAdminClient", Ours)
    return Ours


async def test_letters_go_back_to_no_topic_whose_partitions_nobody_knows(listing: type[Listing]) -> None:
    assert (await read_targets(SETTINGS)).partitions == {"ns.documents": 1}


async def test_replays_of_letters_whose_copies_nobody_knows_are_kept_as_every_topic(listing: type[Listing]) -> None:
    await create_replays(SETTINGS)
    assert listing.made == [("ns.replays", 3)]
