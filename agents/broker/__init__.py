"""The local broker: real Apache Kafka, one KRaft node or three, as detached child processes. Neither Docker nor Java.

For one machine and its owner: it listens on loopback only and asks nobody for a password.
"""

from agents.broker.cluster import LocalCluster
from agents.broker.keeper import keep_running
from agents.broker.local import BrokerStatus, LocalBroker
from agents.broker.progress import Progress

__all__ = ["BrokerStatus", "LocalBroker", "LocalCluster", "Progress", "keep_running"]
