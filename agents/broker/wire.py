"""Just enough of Kafka's protocol to ask a broker who it is, without a client and its retries and log lines.

The one request is Metadata, version 4: https://kafka.apache.org/protocol
"""

import socket
import struct
from dataclasses import dataclass

from agents.broker.address import Address

_METADATA, _VERSION, _CORRELATION = 3, 4, 1
_CLIENT = b"lexstream"
# Header: api key, version, correlation id, client id. Body: no topics, and do not create any.
_REQUEST = struct.pack(f">hhih{len(_CLIENT)}sib", _METADATA, _VERSION, _CORRELATION, len(_CLIENT), _CLIENT, 0, 0)


@dataclass(frozen=True)
class Cluster:
    """What a broker says about its cluster."""

    id: str
    n_brokers: int


def ask(address: Address, *, timeout_s: float = 2.0) -> Cluster | None:
    """Return what the broker at ``address`` says, or ``None`` if nobody, or something else, answers there."""
    try:
        with socket.create_connection((address.ip, address.port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                return _cluster(stream.read(min(size, 1 << 20)))
    except (OSError, ValueError, IndexError, struct.error):
        return None


def _cluster(answer: bytes) -> Cluster:
    """Read correlation id, throttle time, brokers (id, host, port, rack) and the cluster's id."""
    correlation, _, n_brokers = struct.unpack_from(">iii", answer)
    if correlation != _CORRELATION:
        raise ValueError(correlation)
    at = 12
    for _ in range(n_brokers):
        _, at = _string(answer, at + 4)
        _, at = _string(answer, at + 4)
    cluster_id, _ = _string(answer, at)
    return Cluster(cluster_id, n_brokers)


def _string(answer: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", answer, at)
    end = at + 2 + max(length, 0)
    return answer[at + 2 : end].decode(), end
