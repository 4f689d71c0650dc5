"""What Kafka is told of one node, and of one of three."""

import os
from pathlib import Path

from agents.broker.address import Address
from agents.broker.config import server_properties


def test_the_broker_listens_on_loopback_only(tmp_path: Path) -> None:
    text = server_properties(Address("127.0.0.1", 9092), node_id=1, controllers={1: 5}, data=tmp_path)
    assert "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:5\n" in text
    assert "default.replication.factor=1\nmin.insync.replicas=1\n" in text
    assert os.fspath(tmp_path) in text


def test_a_node_of_three_knows_all_controllers_and_two_nodes_have_what_was_written(tmp_path: Path) -> None:
    text = server_properties(Address("127.0.0.1", 9093), node_id=2, controllers={1: 5, 2: 6, 3: 7}, data=tmp_path)
    assert "listeners=PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:6\n" in text
    assert "controller.quorum.voters=1@127.0.0.1:5,2@127.0.0.1:6,3@127.0.0.1:7\n" in text
    for line in (
        "default.replication.factor=3",
        "min.insync.replicas=2",
        "offsets.topic.replication.factor=3",
        "transaction.state.log.replication.factor=3",
        "transaction.state.log.min.isr=2",
    ):
        assert f"\n{line}\n" in text
