"""Where the local broker listens: loopback addresses only."""

import ipaddress
import secrets
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from schemas.errors import InvalidInput

_DEFAULT_PORT = 9092
_PORTS = range(20_000, 32_768)  # below those that Linux and macOS give to connections


@dataclass(frozen=True)
class Address:
    """A loopback address and a port."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def is_elsewhere(text: str) -> bool:
    """Return whether ``host:port`` is on another machine, or of a name that nobody knows yet.

    Raises:
        InvalidInput: It is no such thing.
    """
    host, _ = _split(text)
    try:
        return not all(ip.is_loopback for ip in _ips(host))
    except OSError:
        return True


def parse_address(text: str) -> Address:
    """Read ``host:port``; the port may be left out. A name such as ``localhost`` becomes its address.

    Raises:
        InvalidInput: It is no such thing, or the host is not this machine's loopback.
    """
    host, port = _split(text)
    try:
        ips = _ips(host)
    except OSError as error:
        raise InvalidInput([f"{text}: cannot find the host {host!r}: {error}"]) from error
    if not ips or not all(ip.is_loopback for ip in ips):
        raise InvalidInput([f"{text}: the local broker listens on loopback only; expected such as localhost:9092"])
    return Address(str(ips[0]), port)


def _ips(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    found = {entry[4][0] for entry in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    return sorted((ipaddress.ip_address(str(ip)) for ip in found), key=lambda ip: ip.version)


def _split(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(_DEFAULT_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise InvalidInput([f"{text}: expected host:port, such as localhost:9092"])
    return host.strip("[]"), int(port)


def is_taken(address: Address) -> bool:
    """Return whether somebody listens there."""
    try:
        socket.create_connection((address.ip, address.port), timeout=2).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """Return different ports of 127.0.0.1 that nobody listens on, and that no system gives to the ends of connections.

    Any client could get one of those while the broker that should listen there is dead.
    """
    with ExitStack() as held:
        return tuple(_held_port(held) for _ in range(count))


def _held_port(held: ExitStack) -> int:
    while True:
        probe = held.enter_context(socket.socket())
        with suppress(OSError):
            probe.bind(("127.0.0.1", secrets.choice(_PORTS)))
            return int(probe.getsockname()[1])


def following(addresses: Sequence[str], count: int) -> list[str]:
    """Return the first ``count`` addresses; what is missing are the ports after the last.

    Raises:
        InvalidInput: The last is no ``host:port``.
    """
    host, port = _split(addresses[-1])
    shown = f"[{host}]" if ":" in host else host
    return [*addresses, *(f"{shown}:{port + more}" for more in range(1, count))][:count]
