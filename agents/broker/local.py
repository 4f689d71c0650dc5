"""Starting, stopping and asking after the local broker of a home folder."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from agents.broker import process
from agents.broker.address import Address, free_port, is_taken, parse_address
from agents.broker.config import JVM_OPTIONS, NO_EXTRAS, Extras, Member, logging_properties, server_properties
from agents.broker.jars import Kafka, find_kafka
from agents.broker.java import find_java
from agents.broker.locking import locked
from agents.broker.plan import folder_of, new_cluster_id, require_nodes
from agents.broker.progress import OnProgress, Progress, ignore
from agents.broker.room import lack_of_room, told_as_ours
from agents.broker.wire import ask
from schemas.errors import Unavailable

_START_TIMEOUT_S = 90.0
_STOP_PATIENCE_S = 20.0
_ASK_EVERY_S = 0.05
_TAIL_LINES = 6
_FIRST_NODE = 1


@dataclass(frozen=True)
class BrokerStatus:
    """What there is to say about a local broker. Without a running one, ``pid`` and ``version`` are ``None``.

    A cluster runs if all its ``nodes`` do; the process ids are theirs.
    """

    running: bool
    address: str
    data: Path
    log: Path
    pid: int | None = None
    version: str | None = None
    nodes: tuple["BrokerStatus", ...] = ()


class LocalBroker:
    """The local broker of one home folder; any number of these objects, in any processes, mean the same broker.

    Args:
        home: Keeps its data, settings and logs in ``broker/``. Data that is there is used, whoever made it.
        address: Where it shall listen, on loopback.
        cache: Where its jars are kept; ``jars/`` in the home if not given.
        environment: ``JAVA_HOME``, ``KAFKA_HOME`` and ``PATH`` are looked up here.
        extras: What it gets beside what every local broker gets.
        member: Its place, if it is a node of a ``LocalCluster``.

    Raises:
        InvalidInput: ``address`` is not one, or not on loopback.
    """

    def __init__(
        self,
        home: Path,
        address: str = "localhost:9092",
        *,
        cache: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        extras: Extras = NO_EXTRAS,
        member: Member | None = None,
    ) -> None:
        self._home = home.absolute()
        self._member = member
        self._folder = folder_of(home) / f"node-{member.node_id}" if member else folder_of(home)
        self._address = parse_address(address)
        self._cache = cache or home.absolute() / "jars"
        self._environment = environment
        self._extras = extras
        self._record = self._folder / "broker.json"
        self._properties = self._folder / "server.properties"
        self._data = self._folder / "data"
        self._logs = self._folder / "logs"

    def status(self) -> BrokerStatus:
        """Return whether the broker runs, and where."""
        if found := self._running():
            record, _ = found
            return self._status(address=record.address, pid=record.pid, version=record.version)
        return self._status(address=str(self._address))

    def start(self, on_progress: OnProgress = ignore) -> BrokerStatus:
        """Start the broker unless it runs already; return when it answers. Its data is kept over restarts and crashes.

        Blocks for about four seconds; the first time longer, since it gets Kafka. Two starts at once give one broker.

        Raises:
            InvalidInput: The home holds a cluster.
            Unavailable: No Java, no jars, the port is taken, a file cannot be written, or Kafka gave up; the message
                says which, with the last lines of its log.
        """
        with told_as_ours(self._folder), locked(self._folder / "lock"):
            if self._member is None:
                require_nodes(self._home, 1)
            if found := self._running():
                return self._already(*found)
            if is_taken(self._address):
                raise Unavailable(f"port {self._address.port} of {self._address.ip} is taken by another program")
            java = find_java(self._environment)
            kafka = find_kafka(self._environment, cache=self._cache, on_progress=on_progress)
            command = [str(java), *JVM_OPTIONS, *self._prepare(), *self._extras.jvm_options, "-cp", kafka.classpath]
            if not _meta(self._data):
                on_progress(Progress("format", "Preparing the broker's folder"))
                self._format(command)
            on_progress(Progress("start", f"Starting Kafka {kafka.version}"))
            return self._launch(command, kafka)

    @property
    def nodes(self) -> tuple["LocalBroker", ...]:
        """Itself, as a cluster has several."""
        return (self,)

    def is_whole(self) -> bool:
        """Whether it answers."""
        answer = ask(self._address)
        return answer is not None and self._node_id in answer.nodes

    def stop(self) -> bool:
        """Stop the broker, in order if it can, and return when it is gone: ``False`` if it did not run."""
        return self._end(patience_s=_STOP_PATIENCE_S)

    def kill(self) -> bool:
        """Kill the broker like a power cut would; ``False`` if it did not run."""
        if found := self._running():
            process.kill(found[1])
        return bool(found)

    def _end(self, *, patience_s: float) -> bool:
        with locked(self._folder / "lock"):
            if found := self._running():
                process.end(found[1], patience_s=patience_s)
            self._record.unlink(missing_ok=True)
            return bool(found)

    def _running(self) -> tuple[process.Record, psutil.Process] | None:
        record = process.recall(self._record)
        found = process.find(record, argument=str(self._properties)) if record else None
        return (record, found) if record and found else None

    def _status(self, *, address: str, pid: int | None = None, version: str | None = None) -> BrokerStatus:
        log = self._logs / "server.log"
        return BrokerStatus(pid is not None, address, self._data, log, pid=pid, version=version)

    def _already(self, record: process.Record, found: psutil.Process) -> BrokerStatus:
        if record.address != str(self._address):
            raise Unavailable(f"the broker of {self._folder.parent} runs at {record.address} already: stop it first")
        self._wait_for_answer(found, self._address)
        return self.status()

    def _prepare(self) -> list[str]:
        """Write Kafka's settings; return Java's options that name them."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._data.mkdir(exist_ok=True)
        controllers = self._member.controllers if self._member else {self._node_id: self._controller_port()}
        text = server_properties(
            self._address, node_id=self._node_id, controllers=controllers, data=self._data, extras=self._extras
        )
        self._properties.write_text(text, encoding="utf-8")
        log_settings = self._folder / "log4j2.properties"
        log_settings.write_text(logging_properties(self._logs), encoding="utf-8")
        return [f"-Dlog4j2.configurationFile={log_settings}"]

    @property
    def _node_id(self) -> int:
        return self._member.node_id if self._member else int(_meta(self._data).get("node.id", _FIRST_NODE))

    def _controller_port(self) -> int:
        """Keep the port of the last start as long as nobody else took it."""
        before = self._properties.read_text(encoding="utf-8") if self._properties.exists() else ""
        found = re.search(r"CONTROLLER://127\.0\.0\.1:(\d+)", before)
        if found and not is_taken(Address("127.0.0.1", int(found.group(1)))):
            return int(found.group(1))
        return free_port()

    def _format(self, command: list[str]) -> None:
        cluster_id = self._member.cluster_id if self._member else new_cluster_id()
        arguments = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", str(self._properties)]
        arguments += self._extras.format_options
        quick = [command[0], "-XX:TieredStopAtLevel=1", *command[1:]]  # it ends before more compilation would pay
        done = subprocess.run([*quick, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"Kafka cannot use {self._data}: {_last_lines(done.stdout + done.stderr)}")

    def _launch(self, command: list[str], kafka: Kafka) -> BrokerStatus:
        console, log = self._logs / "console.log", self._logs / "server.log"
        seen = log.stat().st_size if log.exists() else 0
        child = process.launch([*command, "kafka.Kafka", str(self._properties)], console=console)
        try:
            record = process.Record(child.pid, child.create_time(), str(self._address), kafka.version)
            process.remember(record, path=self._record)
            self._wait_for_answer(child, self._address)
        except Unavailable as error:
            process.kill(child)
            said = log.read_bytes()[seen:].decode(errors="replace") if log.exists() else ""
            said += console.read_text(encoding="utf-8", errors="replace")
            why = f"{_last_lines(said) or 'it said nothing'} (all of it: {self._logs}){lack_of_room(self._data)}"
            raise Unavailable(f"{error}: {why}") from error
        except BaseException:
            process.kill(child)
            raise
        return self.status()

    def _wait_for_answer(self, child: psutil.Process, address: Address) -> None:
        """Return when our broker, not somebody else's, is ready for work."""
        cluster_id = _meta(self._data).get("cluster.id")
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not process.is_alive(child):
                raise Unavailable("Kafka ended while it started")
            answer = ask(address)
            if answer and self._node_id in answer.nodes and answer.id == cluster_id:
                return
            time.sleep(_ASK_EVERY_S)
        raise Unavailable(f"Kafka did not answer at {address} within {_START_TIMEOUT_S:.0f} s")


def _meta(data: Path) -> dict[str, str]:
    """Read what Kafka wrote when the folder was formatted; empty if it was not."""
    path = data / "meta.properties"
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _last_lines(text: str) -> str:
    """Return the last lines that say something; a stack trace's middle does not."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not re.match(r"\s+(at|\.\.\.) ", line)]
    return " | ".join(lines[-_TAIL_LINES:])
