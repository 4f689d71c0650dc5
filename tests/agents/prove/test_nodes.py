"""The nodes of a cluster that is not there: who is hurt when, and until when nobody else is."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.prove import nodes as module
from agents.prove.murders import Murderer
from agents.prove.nodes import Nodes
from agents.prove.schedule import Kind, Murder
from agents.prove.workers import Workers


@dataclass
class FakeNode:
    pid: int | None = field(default_factory=os.getpid)
    deeds: list[str] = field(default_factory=list)

    def status(self) -> "FakeNode":
        return self

    def kill(self) -> bool:
        self.deeds.append("kill")
        return True

    def stop(self) -> bool:
        self.deeds.append("stop")
        return True

    def start(self) -> None:
        self.deeds.append("start")


@dataclass
class FakeCluster:
    nodes: list[FakeNode] = field(default_factory=lambda: [FakeNode() for _ in range(3)])
    asked: threading.Event = field(default_factory=threading.Event)
    whole: bool = True

    def is_whole(self) -> bool:
        self.asked.set()
        return self.whole


@pytest.fixture(autouse=True)
def _asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.001)


def kill(at_s: float = 0.0, *, pick: float) -> Murder:
    return Murder(at_s, Kind.KILL_BROKER, 1.0, pick)


def ended() -> None:
    """Nobody wants to know."""


def until_healed(nodes: Nodes) -> None:
    assert nodes._restoring is not None
    nodes._restoring.join(10)
    nodes.look_after()
    assert not nodes.hurt


def test_the_pick_says_which_node_is_killed_and_it_comes_back() -> None:
    cluster = FakeCluster()
    nodes = Nodes(cluster)
    for pick, number in ((0.0, 0), (0.5, 1), (0.99, 2)):
        begun = nodes.begin(kill(pick=pick))
        assert begun
        name, back = begun
        assert name == f"broker-{number + 1}"
        assert nodes.hurt
        nodes.restore(back, ended)
        until_healed(nodes)
    assert [node.deeds for node in cluster.nodes] == [["kill", "stop", "start"]] * 3


def test_a_node_that_is_away_already_is_spared() -> None:
    nodes = Nodes(FakeCluster([FakeNode(pid=None)] * 3))
    assert nodes.begin(kill(pick=0.5)) is None
    assert not nodes.hurt
    assert Nodes(None).begin(kill(pick=0.5)) is None


def test_no_other_node_is_hurt_until_all_are_whole_again(tmp_path: Path) -> None:
    cluster, now = FakeCluster(whole=False), [0.0]
    murderer = Murderer(Workers({"settings": {}}, tmp_path), cluster, now_s=lambda: now[0])
    murderer.begin(kill(pick=0.0))
    murderer.begin(kill(pick=0.99))
    now[0] = 1.0
    murderer.look_after()
    assert cluster.asked.wait(10)
    murderer.look_after()
    assert [deed.whom for deed in murderer.deeds] == ["broker-1"]
    assert murderer.busy
    cluster.whole = True
    until_healed(murderer._nodes)
    now[0] = 20.0
    murderer.look_after()
    assert [(deed.whom, deed.began_s) for deed in murderer.deeds] == [("broker-1", 0.0), ("broker-3", 20.0)]
    murderer.close()
    assert murderer.error is None
    assert cluster.nodes[2].deeds == ["kill", "stop", "start"]


def test_a_cluster_that_does_not_become_whole_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WHOLE_S", 0.0)
    nodes = Nodes(FakeCluster(whole=False))
    begun = nodes.begin(kill(pick=0.0))
    assert begun
    nodes.restore(begun[1], ended)
    until_healed(nodes)
    assert "not all brokers had all partitions again" in str(nodes.error)


def test_who_is_told_to_end_does_not_wait_until_all_are_whole() -> None:
    cluster = FakeCluster(whole=False)
    nodes = Nodes(cluster)
    begun = nodes.begin(kill(pick=0.0))
    assert begun
    nodes.restore(begun[1], ended)
    nodes.close()
    assert nodes.error is None
    assert cluster.nodes[0].deeds == ["kill", "stop", "start"]


def test_whatever_keeps_a_broker_from_coming_back_is_kept_and_ends_the_run(tmp_path: Path) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    cluster = FakeCluster()
    cluster.nodes[0].start = full  # type: ignore[method-assign]
    murderer = Murderer(Workers({"settings": {}}, tmp_path), cluster, now_s=lambda: 1.0)
    murderer.begin(kill(pick=0.0))
    murderer.close()
    assert isinstance(murderer.error, OSError)
    assert murderer.deeds[0].ended_s is None
