"""Just enough of Kafka's protocol to ask a broker how its cluster is, without a client and its retries and log lines.

The one request is Metadata, version 4: https://kafka.apache.org/protocol
"""

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.broker.address import Address

_METADATA, _VERSION, _CORRELATION = 3, 4, 1
_CLIENT = b"lexstream"
_NO_TOPICS, _ALL_TOPICS = 0, -1
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class PartitionState:
    """Who keeps a partition, by node id; the leader is -1 while there is none."""

    leader: int
    replicas: frozenset[int]
    in_sync: frozenset[int]


@dataclass(frozen=True)
class Cluster:
    """What a broker says about its cluster.

    Attributes:
        id: The cluster's.
        nodes: Ids of the brokers that are there.
        partitions: By topic and number, if asked for.
    """

    id: str
    nodes: frozenset[int]
    partitions: Mapping[tuple[str, int], PartitionState] = field(default_factory=dict)


def ask(address: Address, *, timeout_s: float = 2.0) -> Cluster | None:
    """Return what the broker at ``address`` says, or ``None`` if nobody, or something else, answers there."""
    return _ask(address, _NO_TOPICS, timeout_s)


def ask_partitions(address: Address, *, timeout_s: float = 2.0) -> Cluster | None:
    """Ask for all partitions, too."""
    return _ask(address, _ALL_TOPICS, timeout_s)


def _ask(address: Address, topics: int, timeout_s: float) -> Cluster | None:
    # Header: api key, version, correlation id, client id. Body: the topics, and do not create any.
    layout = f">hhih{len(_CLIENT)}sib"
    request = struct.pack(layout, _METADATA, _VERSION, _CORRELATION, len(_CLIENT), _CLIENT, topics, 0)
    try:
        with socket.create_connection((address.ip, address.port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                return _cluster(_Answer(stream.read(max(0, min(size, _MOST_BYTES)))))
    except (OSError, ValueError, IndexError, struct.error):
        return None


class _Answer:
    """Takes one thing after another off the front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f">{layout}", self._content, self._at)
        self._at += struct.calcsize(f">{layout}")
        return found

    def int32(self) -> int:
        return int(self.take("i")[0])

    def ids(self) -> frozenset[int]:
        return frozenset(self.take(f"{max(self.int32(), 0)}i"))

    def string(self) -> str:
        (length,) = self.take("h")
        return bytes(self.take(f"{max(length, 0)}s")[0]).decode()


def _cluster(answer: _Answer) -> Cluster:
    correlation, _throttled, n_brokers = answer.take("iii")
    if correlation != _CORRELATION:
        raise ValueError(correlation)
    nodes = frozenset(_node(answer) for _ in range(n_brokers))
    cluster_id, _controller, n_topics = answer.string(), answer.int32(), answer.int32()
    partitions = {key: state for _ in range(n_topics) for key, state in _topic(answer).items()}
    return Cluster(cluster_id, nodes, partitions)


def _node(answer: _Answer) -> int:
    node_id, _host, _port, _rack = answer.int32(), answer.string(), answer.int32(), answer.string()
    return node_id


def _topic(answer: _Answer) -> dict[tuple[str, int], PartitionState]:
    answer.take("h")
    name, _ = answer.string(), answer.take("?")
    return {(name, number): state for number, state in (_partition(answer) for _ in range(answer.int32()))}


def _partition(answer: _Answer) -> tuple[int, PartitionState]:
    _error, number, leader = answer.take("hii")
    return number, PartitionState(leader, answer.ids(), answer.ids())
