"""The largest message that each topic takes."""

import logging
from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

logger = logging.getLogger(__name__)

_SETTING = "max.message.bytes"


class Limits:
    """What topics take: as their settings say, or as the broker let us know.

    Args:
        default: For topics whose settings we may not read, and those made later.
    """

    def __init__(self, default: int) -> None:
        self._default = default
        self._known: dict[str, int] = {}

    def __call__(self, topic: str) -> int:
        """Return the largest message that ``topic`` takes, in bytes."""
        return self._known.get(topic, self._default)

    def learn(self, topic: str, limit: int) -> None:
        """Note what the topic's settings say."""
        self._known[topic] = limit

    def refused(self, topic: str, *, batch: int, message: int) -> None:
        """Note that the broker refused a batch for its size.

        Args:
            topic: Where it was to go.
            batch: Size of the largest batch, in bytes.
            message: Size of the largest single message.
        """
        below = message - 1 if message >= batch else max(message, batch // 2)
        self._known[topic] = min(self(topic), below)
        logger.warning(
            "%s refuses %d bytes; taking its limit for %d", topic, batch, self(topic), extra={"action": "limit"}
        )


async def read_limits(limits: Limits, topics: Iterable[str], options: dict[str, Any]) -> None:
    """Ask the broker for the topics' limits; without the right to, or an answer, the default holds.

    Args:
        limits: What takes the answers.
        topics: Which topics.
        options: Of aiokafka's clients.
    """
    client = AIOKafkaAdminClient(**options)
    try:
        await client.start()
        answers = await client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {_SETTING: None}) for topic in topics]
        )
    except (KafkaError, OSError) as error:
        logger.warning("cannot read the topics' settings: %r", error, extra={"action": "limit"})
        return
    finally:
        await client.close()
    for answer in answers:
        for _code, _message, _type, topic, entries in answer.resources:
            for entry in entries:
                if entry[0] == _SETTING:
                    limits.learn(topic, int(entry[1]))
