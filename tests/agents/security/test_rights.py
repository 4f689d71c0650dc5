"""Asking for rights while a broker is away."""

from collections.abc import Iterable

import pytest

from agents import rights
from agents.acls import Acl, Role
from agents.rights import require_rights
from agents.settings import Settings
from schemas.errors import Unavailable


class Kafka:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, failures: int) -> None:
        self.failures, self.asked = failures, 0
        monkeypatch.setattr(rights, "missing_rights", self.missing)
        monkeypatch.setattr(rights, "_RETRY_S", 0)

    async def missing(self, _settings: Settings, _acls: Iterable[Acl]) -> list[Acl]:
        self.asked += 1
        if self.asked <= self.failures:
            raise Unavailable("a node died")
        return []


async def test_a_node_that_dies_while_it_is_asked_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(monkeypatch, failures=2)
    await require_rights(Settings(), Role.WORKER)
    assert kafka.asked == 3


async def test_it_is_not_waited_for_longer_than_for_a_broker_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(monkeypatch, failures=10)
    with pytest.raises(Unavailable, match="a node died"):
        await require_rights(Settings(broker_wait_s=0), Role.WORKER)
    assert kafka.asked == 1
