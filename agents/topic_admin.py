"""What Kafka says of topics, and making them."""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from agents.kafka import client_options
from agents.kafka_words import in_words
from agents.settings import Settings
from schemas.errors import InvalidInput, Unavailable
from schemas.topics import TopicSpec

SPREAD_S: Final = 10.0
"""How long a node may take to hear of a topic that was made at another."""
PAUSE_S: Final = 0.1
_CREATED_S: Final = 20.0
_NOT_ALLOWED: Final = TopicAuthorizationFailedError.errno


class TopicAdmin(AbstractAsyncContextManager["TopicAdmin"]):
    """Asks Kafka for topics, and makes them.

    Args:
        settings: Where Kafka is.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = AIOKafkaAdminClient(**client_options(settings))

    async def __aenter__(self) -> "TopicAdmin":
        await self._client.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def partitions(self, names: Sequence[str]) -> dict[str, int]:
        """Return the numbers of partitions of those topics that are there."""
        return {name: len(replicas) for name, replicas in (await self.replicas(names)).items()}

    async def replicas(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Return how often each partition is kept, of those topics that are there."""
        described = await self._client.describe_topics(list(names))
        require_allowed("see", [topic["topic"] for topic in described if topic["error_code"] == _NOT_ALLOWED])
        return {
            topic["topic"]: [len(partition["replicas"]) for partition in topic["partitions"]]
            for topic in described
            if not topic["error_code"]
        }

    async def visible(self) -> dict[str, list[int]]:
        """Return how often each partition is kept, of all topics that we may see. Asking by name might make them."""
        described = await self._client.describe_topics()
        return {
            each["topic"]: [len(part["replicas"]) for part in each["partitions"]]
            for each in described
            if each["partitions"]
        }

    async def n_brokers(self) -> int:
        """Return how many brokers there are."""
        return len((await self._client.describe_cluster())["brokers"])

    async def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return the settings of topics that are there; those we may not read are left out.

        Raises:
            Unavailable: If the node that is asked does not tell those of one, also when it was asked again.
        """
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        end = time.monotonic() + SPREAD_S
        while True:
            answers = [each for answer in await self._client.describe_configs(resources) for each in answer.resources]
            wrong = {name: for_code(code) for code, _, _, name, *_ in answers if code not in {0, _NOT_ALLOWED}}
            if not wrong:
                break
            if time.monotonic() >= end or not all(error.retriable for error in wrong.values()):
                name, error = next(iter(wrong.items()))
                raise Unavailable(f"the settings of topic {name} cannot be read: {in_words(error())}")
            await asyncio.sleep(PAUSE_S)
        return {name: {entry[0]: entry[1] for entry in entries} for code, _, _, name, entries in answers if not code}

    async def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Make topics and return their names; one that somebody else makes meanwhile is no error.

        Raises:
            InvalidInput: If Kafka refuses one for good.
            Unavailable: If it cannot make one now, or was not heard to have made them all in time.
        """
        made = [NewTopic(s.name, s.partitions, s.replication, topic_configs=s.config) for s in specs]
        answer = await self._client.create_topics(made, timeout_ms=int(_CREATED_S * 1000))
        require_allowed("make", [name for name, code, *_ in answer.topic_errors if code == _NOT_ALLOWED])
        for name, code, *more in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                said = " ".join(str(word) for word in more if word) or for_code(code).__name__
                sentence = f"topic {name} cannot be made: {said}"
                raise Unavailable(sentence) if for_code(code).retriable else InvalidInput([sentence])
        await self._until_there([spec.name for spec in specs])
        return [name for name, code, *_ in answer.topic_errors if not code]

    async def _until_there(self, names: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(_CREATED_S):
                while len(await self.partitions(names)) < len(names):  # noqa: ASYNC110 - Kafka tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            those = ", ".join(names)
            raise Unavailable(f"{those} cannot be seen {_CREATED_S:.0f} s after they were made; try again") from error


def require_allowed(what: str, topics: Collection[str]) -> None:
    """Return if there are no topics that Kafka does not let us use.

    Raises:
        InvalidInput: With all of them.
    """
    if topics:
        raise InvalidInput([not_allowed(what, topics)])


def not_allowed(what: str, topics: Iterable[str]) -> str:
    """Return the line for topics that Kafka does not let us use."""
    return f"Kafka does not let us {what} {', '.join(sorted(topics))}; docs/security.md shows the ACLs of each role"
