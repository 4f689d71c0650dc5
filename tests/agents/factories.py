"""Records, items and answers for tests of the hot loop's parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.hotloop.decode import Item
from schemas.documents import DocumentEvent
from schemas.errors import EventError


@dataclass
class FakeRecord:
    topic: str = "n.documents"
    partition: int = 2
    offset: int = 41
    timestamp: int = 1_767_607_200_123
    key: bytes | None = b"\xffkey"
    value: bytes | None = b'{"id": "d", "text": "Jane Doe"}'
    headers: Sequence[tuple[str, bytes]] = (("traceparent", b"00-1"),)


def item(
    content: DocumentEvent | EventError | None = None, *, n_tokens: int = 10, arrival: int = 0, **record: object
) -> Item:
    event = content or DocumentEvent(id="d", text="Jane Doe")
    return Item(FakeRecord(**record), event, n_tokens, 100, arrival)  # type: ignore[arg-type]
