"""The settings of a local broker: each node is controller and broker at once, small and quick to start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agents.broker.address import Address

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

JVM_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",  # G1 takes more memory and gains nothing at this heap
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disable.jmx=true",
)


@dataclass(frozen=True)
class Extras:
    """What a broker gets beside what every one gets; for tests of what people do to theirs.

    Attributes:
        listeners: Further ones, like ``SSL://127.0.0.1:9093``.
        properties: Of the server; they win over ours.
        format_options: Of ``kafka-storage format``, like ``--add-scram``; they count when the data is new.
        jvm_options: Of Java; they win over ours.
    """

    listeners: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    format_options: tuple[str, ...] = ()
    jvm_options: tuple[str, ...] = ()


NO_EXTRAS = Extras()


@dataclass(frozen=True)
class Member:
    """A node's place in its cluster.

    Attributes:
        cluster_id: The same for all nodes.
        node_id: Its own.
        controllers: The port of each node's controller, by node id.
    """

    cluster_id: str
    node_id: int
    controllers: Mapping[int, int]


# What differs from Kafka's defaults, and why.
_SETTINGS = f"""
process.roles=broker,controller
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false

# Few partitions of Kafka's own topics: each costs start-up time and memory.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1

# A node that is back leads again soon; by default after five minutes.
leader.imbalance.check.interval.seconds=5

# Consumers start at once, and commits are not held back to be batched.
group.initial.rebalance.delay.ms=0
group.coordinator.append.linger.ms=0
# A dead producer's transaction blocks its readers until it is timed out: look every second, not every ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000

message.max.bytes={MAX_MESSAGE_BYTES}
replica.fetch.max.bytes={MAX_MESSAGE_BYTES}
log.segment.bytes=134217728
log.index.size.max.bytes=1048576
offsets.topic.segment.bytes=16777216
transaction.state.log.segment.bytes=16777216

# Small buffers and few threads: by default the log cleaner alone takes 128 MiB of heap.
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
metadata.max.idle.interval.ms=5000

# After a kill, the node is let in again once its old session has ended: by default nine seconds.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


def server_properties(
    address: Address, *, node_id: int, controllers: Mapping[int, int], data: Path, extras: Extras = NO_EXTRAS
) -> str:
    """Return Kafka's ``server.properties``. ``controllers`` has the port of each node's controller, by node id."""
    controller = f"CONTROLLER://127.0.0.1:{controllers[node_id]}"
    listeners = [f"PLAINTEXT://{address}", controller, *extras.listeners]
    voters = ",".join(f"{voter}@127.0.0.1:{port}" for voter, port in controllers.items())
    more = "\n".join(f"{name}={value}" for name, value in extras.properties.items())
    return f"""# Written at each start; changes here are lost.
node.id={node_id}
listeners={",".join(listeners)}
controller.quorum.voters={voters}
log.dirs={data}
{_SETTINGS}{_replication(len(controllers))}{more}
"""


def _replication(n_nodes: int) -> str:
    """Let a write wait for two nodes of three or more, so that any one may die; one node cannot replicate."""
    copies, least = (3, 2) if n_nodes >= 3 else (1, 1)  # noqa: PLR2004 - as many as there are copies
    return f"""
default.replication.factor={copies}
min.insync.replicas={least}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={least}
"""


def logging_properties(logs: Path) -> str:
    """Return Log4j's settings: warnings and worse, into one file that is rotated at 10 MB and kept three times."""
    return f"""status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={logs / "server.log"}
appender.file.filePattern={logs / "server.log.%i"}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}} %p %m (%c{{1}})%n
appender.file.policies.type=SizeBasedTriggeringPolicy
appender.file.policies.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=3
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""
