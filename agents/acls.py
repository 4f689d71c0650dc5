"""What each role needs to be allowed on a Kafka with an authorizer: the smallest sets. Pure; nobody talks to Kafka.

docs/security.md shows them, the processes look for them when they start, and the tests give a role these and no more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from agents.settings import Settings


class Operation(StrEnum):
    """What is allowed, as Kafka calls it. Read, Write and Create on a topic let it be described as well, but Create."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


class ResourceType(StrEnum):
    """On what it is allowed; the values are the options of ``kafka-acls.sh``."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Pattern(StrEnum):
    """Whether a name means itself, or all that begins with it."""

    LITERAL = "literal"
    PREFIXED = "prefixed"


class Role(StrEnum):
    """Who comes to Kafka, and what for."""

    WORKER = "worker"
    TRAINER = "trainer"
    PUBLISHER = "publisher"
    INTERACTIVE = "interactive"
    CONSUMER = "consumer"
    OPERATOR = "operator"
    REPLAYER = "replayer"
    ADMINISTRATOR = "administrator"


PURPOSES: Final = {
    Role.WORKER: "`lexstream worker`: enriches documents, and handles commands when it holds the controller",
    Role.TRAINER: "`lexstream trainer`: takes jobs and writes what became of them",
    Role.PUBLISHER: "`lexstream publish`; a program of your own, or `--force`, needs no `Read` on the registry",
    Role.INTERACTIVE: "`lexstream analyze`: asks about one document and waits for the answer",
    Role.CONSUMER: "a program that reads results in a consumer group of its own, here `indexer`; "
    "`lexstream watch` needs no group",
    Role.OPERATOR: "`lexstream project`, `labels`, `train`, `jobs`, `models`, `deploy`, `swap`, `rollback`, `routes`",
    Role.REPLAYER: "`lexstream dead-letters list`, `show` and `replay`; to send letters back to other inputs than "
    "`documents`, `Write` on them, too",
    Role.ADMINISTRATOR: "`lexstream topics create` and `check`",
}
CONSUMER_GROUP: Final = "indexer"


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One thing that is allowed."""

    resource: ResourceType
    name: str
    operation: Operation
    pattern: Pattern = Pattern.LITERAL

    def __str__(self) -> str:
        begins = " whose name begins with" if self.pattern is Pattern.PREFIXED else ""
        return f"{self.operation} on {self.resource.replace('-', ' ')}{begins} {self.name}"


def acls_of(role: Role, settings: Settings) -> tuple[Acl, ...]:
    """Return the smallest set that ``role`` can do its work with, for the topics, lanes and group of ``settings``."""
    return tuple(_OF_ROLES[role](settings))


def _topic(name: str, *operations: Operation, pattern: Pattern = Pattern.LITERAL) -> Iterator[Acl]:
    return (Acl(ResourceType.TOPIC, name, operation, pattern) for operation in operations)


def _worker(settings: Settings) -> Iterator[Acl]:
    topics, group = settings.topics, settings.group
    for lane in settings.all_lanes:
        yield from _topic(lane.input, Operation.READ, Operation.DESCRIBE_CONFIGS)
        yield from _topic(lane.output, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
    for name in (topics.dead_letters, topics.control_events, topics.jobs):
        yield from _topic(name, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
    yield from _topic(topics.control, Operation.READ, Operation.DESCRIBE_CONFIGS)
    for name in (topics.registry, topics.labels):
        yield from _topic(name, Operation.READ, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
    yield from _topic(topics.route(""), Operation.WRITE, Operation.CREATE, pattern=Pattern.PREFIXED)
    yield Acl(ResourceType.GROUP, group, Operation.READ)
    yield Acl(ResourceType.GROUP, f"{group}-control", Operation.READ)
    for lane in settings.all_lanes:
        yield _transactions(f"{group}-{lane.input}-", Pattern.PREFIXED)
    yield _transactions(f"{group}-controller")


def _trainer(settings: Settings) -> Iterator[Acl]:
    topics, group = settings.topics, settings.group
    for name in (topics.registry, topics.jobs):
        yield from _topic(name, Operation.READ, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
    yield from _topic(topics.labels, Operation.READ, Operation.DESCRIBE_CONFIGS)
    yield from _topic(topics.control_events, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
    yield Acl(ResourceType.GROUP, f"{group}-trainer", Operation.READ)
    yield _transactions(f"{group}-jobs-", Pattern.PREFIXED)


def _publisher(settings: Settings) -> Iterator[Acl]:
    yield from _topic(settings.topics.documents, Operation.WRITE)
    yield from _topic(settings.topics.registry, Operation.READ)


def _interactive(settings: Settings) -> Iterator[Acl]:
    yield from _topic(settings.topics.requests, Operation.WRITE)
    yield from _topic(settings.topics.replies, Operation.READ)
    yield from _topic(settings.topics.dead_letters, Operation.READ)


def _consumer(settings: Settings) -> Iterator[Acl]:
    yield from _topic(settings.topics.enriched, Operation.READ)
    yield Acl(ResourceType.GROUP, CONSUMER_GROUP, Operation.READ)


def _operator(settings: Settings) -> Iterator[Acl]:
    yield from _topic(settings.topics.control, Operation.WRITE)
    for name in (settings.topics.control_events, settings.topics.registry, settings.topics.labels):
        yield from _topic(name, Operation.READ)


def _replayer(settings: Settings) -> Iterator[Acl]:
    topics = settings.topics
    yield from _topic(topics.dead_letters, Operation.READ)
    yield from _topic(topics.replays, Operation.READ, Operation.WRITE, Operation.CREATE)
    yield from _topic(topics.documents, Operation.WRITE)
    yield _transactions(f"{settings.namespace}-replay")


def _administrator(settings: Settings) -> Iterator[Acl]:
    makes = Operation.CREATE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS
    prefix = f"{settings.namespace}."
    yield from _topic(prefix, *makes, pattern=Pattern.PREFIXED)
    for name in sorted({name for lane in settings.all_lanes for name in (lane.input, lane.output)}):
        if not name.startswith(prefix):
            yield from _topic(name, *makes)
    yield from _topic(settings.topics.registry, Operation.READ)


def _transactions(name: str, pattern: Pattern = Pattern.LITERAL) -> Acl:
    return Acl(ResourceType.TRANSACTIONAL_ID, name, Operation.WRITE, pattern)


_OF_ROLES: Final = {
    Role.WORKER: _worker,
    Role.TRAINER: _trainer,
    Role.PUBLISHER: _publisher,
    Role.INTERACTIVE: _interactive,
    Role.CONSUMER: _consumer,
    Role.OPERATOR: _operator,
    Role.REPLAYER: _replayer,
    Role.ADMINISTRATOR: _administrator,
}


@dataclass(frozen=True, slots=True)
class Grant:
    """ACLs that one command gives: the same operations on resources of one kind."""

    resource: ResourceType
    pattern: Pattern
    operations: tuple[Operation, ...]
    names: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """The options of ``kafka-acls.sh``."""
        words = [word for operation in self.operations for word in ("--operation", operation)]
        words += [word for name in self.names for word in (f"--{self.resource}", name)]
        return words + (["--resource-pattern-type", "prefixed"] if self.pattern is Pattern.PREFIXED else [])


def grants(acls: Iterable[Acl]) -> list[Grant]:
    """Put ``acls`` together into as few commands as give exactly them."""
    resources = groupby(sorted(acls, key=_place), key=_place)
    together: dict[tuple[ResourceType, Pattern, tuple[Operation, ...]], list[str]] = {}
    for (resource, pattern, name), some in resources:
        operations = tuple(sorted(acl.operation for acl in some))
        together.setdefault((resource, pattern, operations), []).append(name)
    return [Grant(*kind, tuple(names)) for kind, names in together.items()]


def _place(acl: Acl) -> tuple[ResourceType, Pattern, str]:
    return acl.resource, acl.pattern, acl.name


def command(grant: Grant, *, principal: str) -> Sequence[str]:
    """Return the words of a ``kafka-acls.sh`` command, without how it reaches Kafka."""
    return ["kafka-acls.sh", "--add", "--allow-principal", f"User:{principal}", *grant.options]
