"""The broker of a run, without one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.prove import broker as module
from agents.prove.broker import own_broker
from agents.settings import Settings


class FakeCluster:
    """Notes what is done to it.

    Attributes:
        made: All of them.
    """

    made: list["FakeCluster"] = []

    def __init__(self, home: Path, addresses: Sequence[str], *, cache: Path) -> None:
        self.home, self.addresses, self.cache = home, addresses, cache
        self.deeds: list[str] = []
        self.made.append(self)

    def start(self) -> None:
        self.deeds.append("start")

    def kill(self) -> None:
        self.deeds.append("kill")

    def stop(self) -> None:
        self.deeds.append("stop")


def test_a_cluster_of_our_own_has_three_addresses_and_the_homes_jars_and_is_killed_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LocalCluster", FakeCluster)
    monkeypatch.setattr(FakeCluster, "made", [])
    login: dict[str, Any] = {"sasl_username": "anna", "sasl_password": "hush", "ssl_cafile": "ca.pem"}
    given = Settings(home=tmp_path / "home", security_protocol="SASL_SSL", **login)
    with pytest.raises(ZeroDivisionError), own_broker(given, "proof", tmp_path / "kafka", nodes=3) as (ours, _):
        (cluster,) = FakeCluster.made
        assert len(set(cluster.addresses)) == 3
        assert (ours.brokers, ours.security_protocol) == (",".join(cluster.addresses), "PLAINTEXT")
        assert [getattr(ours, name) for name in login] == [None, None, None]
        assert (cluster.home, cluster.cache) == (tmp_path / "kafka", tmp_path / "home" / "jars")
        raise ZeroDivisionError
    assert [cluster.deeds for cluster in FakeCluster.made] == [["start", "kill", "stop"]]
