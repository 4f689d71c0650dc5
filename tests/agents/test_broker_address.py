"""Where a local broker may listen: on loopback only, at ports that no connection is given."""

import pytest

from agents.broker.address import Address, following, free_ports, parse_address
from schemas.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:9999", "127.0.0.1:9999"), ("127.0.0.1", "127.0.0.1:9092"), ("[::1]:9092", "[::1]:9092")],
)
def test_loopback_addresses_are_read(text: str, expected: str) -> None:
    assert str(parse_address(text)) == expected


def test_localhost_becomes_the_address_that_every_client_finds() -> None:
    assert parse_address("localhost:9092") == Address("127.0.0.1", 9092)


@pytest.mark.parametrize("text", ["0.0.0.0:9092", "192.0.2.7:9092"])
def test_an_address_that_others_could_reach_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="on loopback only"):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "localhost:", "localhost:kafka", "localhost:0", "localhost:70000", ":9092"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected host:port"):
        parse_address(text)


def test_ports_for_brokers_are_different_and_none_that_a_connection_could_get() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32768


def test_a_cluster_listens_at_the_ports_after_the_last_that_was_given() -> None:
    assert following(["localhost"], 3) == ["localhost", "localhost:9093", "localhost:9094"]
    assert following(["a:1", "[::1]:7"], 3) == ["a:1", "[::1]:7", "[::1]:8"]
    assert following(["a:1", "b:2", "c:3"], 1) == ["a:1"]
