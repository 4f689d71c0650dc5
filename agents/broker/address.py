"""Where the local broker listens: loopback addresses only."""

import ipaddress
import socket
from dataclasses import dataclass

from schemas.errors import InvalidInput

_DEFAULT_PORT = 9092


@dataclass(frozen=True)
class Address:
    """A loopback address and a port."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``host:port``; the port may be left out. A name such as ``localhost`` becomes its address.

    Raises:
        InvalidInput: It is no such thing, or the host is not this machine's loopback.
    """
    host, port = _split(text)
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    except OSError as error:
        raise InvalidInput([f"{text}: cannot find the host {host!r}: {error}"]) from error
    ips = sorted((ipaddress.ip_address(str(ip)) for ip in found), key=lambda ip: ip.version)
    if not ips or not all(ip.is_loopback for ip in ips):
        raise InvalidInput([f"{text}: the local broker listens on loopback only; expected such as localhost:9092"])
    return Address(str(ips[0]), port)


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
