"""A local cluster: nodes of one home folder, of which any one may die while the others go on."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from agents.broker.address import Address, free_ports, is_taken, parse_address
from agents.broker.config import Member
from agents.broker.jars import find_kafka
from agents.broker.local import BrokerStatus, LocalBroker
from agents.broker.locking import locked
from agents.broker.plan import Plan, folder_of, new_cluster_id, read_plan, require_nodes, write_plan
from agents.broker.progress import OnProgress, Progress, ignore
from agents.broker.room import told_as_ours
from agents.broker.wire import ask_partitions
from schemas.errors import InvalidInput

SIZE = 3
"""How many nodes: the fewest of which one may die."""
_KILL_AGAIN_S = 0.2


class LocalCluster:
    """The local cluster of one home folder, with what a ``LocalBroker`` has; each node controls and serves.

    Three keep every partition, and a write waits for two of them.

    Args:
        home: Keeps the nodes in ``broker/node-1`` and so on.
        addresses: Where each node shall listen, on loopback.
        cache: Where the jars are kept; ``jars/`` in the home if not given.
        environment: ``JAVA_HOME``, ``KAFKA_HOME`` and ``PATH`` are looked up here.

    Raises:
        InvalidInput: There are not three addresses, or one is none, or not on loopback.
    """

    def __init__(
        self,
        home: Path,
        addresses: Sequence[str],
        *,
        cache: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._home = home
        self._folder = folder_of(home)
        self._addresses = tuple(map(parse_address, addresses))
        self._cache = cache or home.absolute() / "jars"
        self._environment = environment
        if not len(set(self._addresses)) == len(addresses) == SIZE:
            raise InvalidInput([f"{','.join(addresses)}: expected {SIZE} different addresses for a local cluster"])

    @property
    def nodes(self) -> tuple[LocalBroker, ...]:
        """Each by itself, to be started, stopped and killed; none before the cluster was started once."""
        plan = read_plan(self._home)
        return tuple(self._nodes(plan)) if plan else ()

    def status(self) -> BrokerStatus:
        """Return whether all nodes run, and where; each by itself is in ``nodes``."""
        nodes = tuple(node.status() for node in self.nodes)
        return BrokerStatus(
            running=bool(nodes) and all(node.running for node in nodes),
            address=",".join([node.address for node in nodes] or map(str, self._addresses)),
            data=self._folder,
            log=self._folder,
            version=next((node.version for node in nodes if node.version), None),
            nodes=nodes,
        )

    def start(self, on_progress: OnProgress = ignore) -> BrokerStatus:
        """Start the nodes that do not run, all at once; return when each answers.

        Raises:
            InvalidInput: The home holds another number of nodes.
            Unavailable: No Java, no jars, a port is taken, a file cannot be written, or Kafka gave up; what was started
                is killed again.
        """
        with told_as_ours(self._folder), locked(self._folder / "lock"):
            require_nodes(self._home, len(self._addresses))
            # Once, before all nodes look for it at the same time.
            kafka = find_kafka(self._environment, cache=self._cache, on_progress=on_progress)
            on_progress(Progress("start", f"Starting {len(self._addresses)} nodes of Kafka {kafka.version}"))
            nodes = list(self._nodes(self._plan()))
            _start_all([node for node in nodes if not node.status().running])
            for node in nodes:
                node.start()  # says so if one that ran before has another address
            return self.status()

    def stop(self) -> bool:
        """Stop all nodes, in order if they can, and return when they are gone: ``False`` if none ran."""
        with locked(self._folder / "lock"):
            nodes = self.nodes
            with ThreadPoolExecutor(len(self._addresses)) as pool:
                stopped = list(pool.map(LocalBroker.stop, nodes))
            return any(stopped)

    def kill(self) -> bool:
        """Kill all nodes like a power cut would; ``False`` if none ran."""
        killed = [node.kill() for node in self.nodes]
        return any(killed)

    def is_whole(self) -> bool:
        """Whether every node says that all nodes are there, and that every replica is in sync."""
        ids = frozenset(range(1, len(self._addresses) + 1))
        return all(
            (said := ask_partitions(address)) is not None
            and said.nodes == ids
            and all(state.in_sync == state.replicas for state in said.partitions.values())
            for address in self._addresses
        )

    def _nodes(self, plan: Plan) -> Iterator[LocalBroker]:
        controllers = dict(enumerate(plan.ports, start=1))
        for node_id, address in enumerate(self._addresses, start=1):
            member = Member(plan.id, node_id, controllers)
            yield LocalBroker(self._home, str(address), cache=self._cache, environment=self._environment, member=member)

    def _plan(self) -> Plan:
        """Keep the last start's plan; its ports only while a node uses them, or nobody else took them."""
        before = read_plan(self._home)
        if before and any(node.status().running for node in self._nodes(before)):
            return before
        if before and not any(is_taken(Address("127.0.0.1", port)) for port in before.ports):
            return before
        plan = Plan(before.id if before else new_cluster_id(), free_ports(len(self._addresses)))
        write_plan(self._home, plan)
        return plan


def _start_all(nodes: Sequence[LocalBroker]) -> None:
    """Start ``nodes`` beside each other: none answers before most of them are there."""
    if not nodes:
        return
    with ThreadPoolExecutor(len(nodes)) as pool:
        starting = [pool.submit(node.start) for node in nodes]
        with _killed_unless_all_start(nodes, starting):
            for ended in wait(starting, return_when=FIRST_EXCEPTION).done:
                ended.result()


@contextmanager
def _killed_unless_all_start(
    nodes: Sequence[LocalBroker], starting: Sequence["Future[BrokerStatus]"]
) -> Iterator[None]:
    try:
        yield
    except BaseException:
        while wait(starting, timeout=_KILL_AGAIN_S).not_done:
            for node in nodes:
                node.kill()
        for node in nodes:
            node.kill()
        raise
