"""How many nodes a home and its addresses are for."""

from pathlib import Path

import pytest

from agents.broker import LocalBroker, LocalCluster
from agents.broker.address import free_ports
from agents.broker.plan import Plan, kept_nodes, write_plan
from schemas.errors import InvalidInput


@pytest.mark.parametrize("addresses", [["localhost:1", "localhost:2"], ["localhost:1", "127.0.0.1:1", "localhost:2"]])
def test_a_cluster_has_three_addresses(addresses: list[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected 3 different addresses for a local cluster"):
        LocalCluster(tmp_path, addresses)


def test_a_home_is_for_one_node_or_for_three_and_the_other_is_one_clear_line(tmp_path: Path) -> None:
    single, three = tmp_path / "single", tmp_path / "three"
    (single / "broker" / "data").mkdir(parents=True)
    (single / "broker" / "data" / "meta.properties").touch()
    (three / "broker").mkdir(parents=True)
    write_plan(three, Plan("L-id", (1, 2, 3)))
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    with pytest.raises(InvalidInput, match=r"holds the data of a single broker, expected 3 nodes: start it with --no"):
        LocalCluster(single, addresses).start()
    with pytest.raises(InvalidInput, match=r"holds the data of a cluster of 3, expected 1 node: start it with --node"):
        LocalBroker(three, addresses[0]).start()
    assert [kept_nodes(home) for home in (tmp_path, single, three)] == [0, 1, 3]
    assert [len(LocalCluster(home, addresses).nodes) for home in (tmp_path, single, three)] == [0, 0, 3]
