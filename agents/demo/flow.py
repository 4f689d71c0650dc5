"""Documents in and enriched documents out while the demo goes on: one feeds, one reads and remembers everything."""

import asyncio
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from agents.client import Client, Follower, Outgoing, read_event
from agents.demo.ledger import Ledger
from schemas.codecs.codec import EnrichedCodec
from schemas.control_events import ControlEvent, EventType
from schemas.dead_letters import DeadLetter
from schemas.enriched import EnrichedDocument
from schemas.errors import Unavailable
from schemas.topics import Topics

Show = Callable[[EnrichedDocument], None]


@dataclass
class Flow:
    """Everything that went in and came out."""

    client: Client
    follower: Follower
    ledger: Ledger = field(default_factory=Ledger)
    documents: list[EnrichedDocument] = field(default_factory=list)
    letters: list[ConsumerRecord] = field(default_factory=list)
    switches: list[ControlEvent] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    show: Show = lambda _: None
    _codec: EnrichedCodec = field(default_factory=EnrichedCodec)

    @property
    def topics(self) -> Topics:
        """The demo's topics."""
        return self.client.settings.topics

    async def publish(self, document: dict[str, Any]) -> None:
        """Send one document event."""
        await self.publish_bytes(str(document["id"]).encode(), orjson.dumps(document))

    async def publish_bytes(self, key: bytes, value: bytes) -> None:
        """Send any bytes as a document event."""
        where = await self.client.send(self.topics.documents, Outgoing(value, key))
        self.ledger.came_in.add((where.partition, where.offset))

    async def publish_slowly(self, documents: Iterable[dict[str, Any]], *, every_s: float) -> None:
        """Send documents one after another until all are sent or this is cancelled."""
        for document in documents:
            await asyncio.shield(self.publish(document))
            await asyncio.sleep(every_s)

    async def read(self) -> None:
        """Read what comes out, for ever."""
        while True:
            for record in await self.follower.poll():
                self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        if record.topic == self.topics.enriched:
            self._take_document(self._codec.decode(record.value))
        elif record.topic == self.topics.dead_letters:
            letter = DeadLetter.from_headers(record.headers)
            self.ledger.dead[letter.partition, letter.offset] += 1
            self.letters.append(record)
        else:
            event = read_event(record)
            if event and event.event is EventType.SWITCHED:
                self.switches.append(event)

    def _take_document(self, document: EnrichedDocument) -> None:
        source = document["source"]
        self.ledger.enriched[source["partition"], source["offset"]] += 1
        self.documents.append(document)
        self.show(document)

    async def wait_until(self, condition: Callable[[], bool], *, what: str, timeout_s: float = 60.0) -> None:
        """Return when ``condition`` holds.

        Raises:
            Unavailable: If it does not within ``timeout_s``.
        """
        end_s = asyncio.get_running_loop().time() + timeout_s
        while not condition():
            if asyncio.get_running_loop().time() > end_s:
                raise Unavailable(f"{what} did not come within {timeout_s:.0f} s")
            await asyncio.sleep(0.02)


def median_s(values: Iterable[float]) -> float:
    """Return the middle one of some lengths of time; 0 of none."""
    found = list(values)
    return statistics.median(found) if found else 0.0


async def recount(client: Client) -> Ledger:
    """Count again from the beginning, as any reader of committed records would."""
    topics = client.settings.topics
    ledger = Ledger()
    codec = EnrichedCodec()
    async for record in client.snapshot([topics.documents, topics.enriched, topics.dead_letters]):
        if record.topic == topics.documents:
            ledger.came_in.add((record.partition, record.offset))
        elif record.topic == topics.enriched:
            source = codec.decode(record.value)["source"]
            ledger.enriched[source["partition"], source["offset"]] += 1
        else:
            letter = DeadLetter.from_headers(record.headers)
            ledger.dead[letter.partition, letter.offset] += 1
    return ledger
