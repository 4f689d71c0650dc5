"""What a broker answers on the wire, and what is none."""

import socket
import struct
import threading

import pytest

from agents.broker.address import Address
from agents.broker.wire import Cluster, PartitionState, ask, ask_partitions


def answer_once(answer: bytes) -> tuple[Address, threading.Thread]:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return Address("127.0.0.1", server.getsockname()[1]), thread


@pytest.mark.parametrize("rack", [b"\xff\xff", b"\x00\x03abc"], ids=["no rack", "rack"])
def test_a_brokers_answer_is_read(rack: bytes) -> None:
    brokers = b"".join(struct.pack(">ih3si", node, 3, b"one", 9092) + rack for node in (1, 3))
    body = struct.pack(">iii", 1, 0, 2) + brokers + struct.pack(">h4sii", 4, b"L-id", 1, 0)
    address, thread = answer_once(struct.pack(">i", len(body)) + body)
    answer = ask(address)
    thread.join()
    assert answer
    assert answer == Cluster("L-id", frozenset({1, 3}))


def test_who_keeps_a_partition_is_read() -> None:
    brokers = struct.pack(">iii", 1, 0, 1) + struct.pack(">ih1sih", 2, 1, b"h", 1, -1)
    partitions = b"".join(
        struct.pack(f">hiii3ii{len(in_sync)}i", 0, number, leader, 3, 1, 2, 3, len(in_sync), *in_sync)
        for number, leader, in_sync in ((0, 2, (1, 2, 3)), (1, -1, ()))
    )
    topics = struct.pack(">ihh1s?i", 1, 0, 1, b"t", False, 2) + partitions
    body = brokers + struct.pack(">h1si", 1, b"c", 2) + topics
    address, thread = answer_once(struct.pack(">i", len(body)) + body)
    answer = ask_partitions(address)
    thread.join()
    assert answer
    everywhere = frozenset({1, 2, 3})
    assert answer.partitions == {
        ("t", 0): PartitionState(2, everywhere, everywhere),
        ("t", 1): PartitionState(-1, everywhere, frozenset()),
    }


@pytest.mark.parametrize("noise", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack(">iiii", 12, 1, 0, 9)])
def test_something_else_than_a_broker_is_no_answer(noise: bytes) -> None:
    address, thread = answer_once(noise)
    assert ask(address) is None
    thread.join()


def test_nobody_is_no_answer() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert ask(Address("127.0.0.1", closed.getsockname()[1])) is None
