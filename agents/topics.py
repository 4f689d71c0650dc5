"""Making the topics, and checking that they are as they have to be."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiokafka.errors import KafkaError

from agents.copies import WANTED, Copies, dangers
from agents.kafka_words import in_words
from agents.settings import Settings
from agents.topic_admin import TopicAdmin, require_allowed
from schemas.errors import InvalidInput, Unavailable
from schemas.topics import TopicSpec, topic_specs

DEFAULT_PARTITIONS: Final = 4
_OF_KAFKA: Final = frozenset({"__consumer_offsets", "__transaction_state"})
"""Kafka's own topics: where the committed offsets and the transactions are, without which ours are worth little."""
_HEADERS_BYTES: Final = 64 * 1024
"""Room for what a dead letter has beside its event."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is."""

    partitions: int
    config: Mapping[str, str]


def expected_topics(
    settings: Settings, *, partitions: int = DEFAULT_PARTITIONS, replication: int = 1, routes: Iterable[str] = ()
) -> list[TopicSpec]:
    """Return all topics that ``settings`` need: the namespace's, the lanes' further ones and those of routes."""
    specs = topic_specs(
        settings.topics,
        partitions=partitions,
        replication=replication,
        routes=routes,
        document_bytes=settings.max_message_bytes,
    )
    by_name = {spec.name: spec for spec in specs}
    for lane in settings.all_lanes:
        for name, like in ((lane.input, settings.topics.documents), (lane.output, settings.topics.enriched)):
            by_name.setdefault(name, replace(by_name[like], name=name))
    return list(by_name.values())


async def create_topics(
    settings: Settings,
    partitions: int = DEFAULT_PARTITIONS,
    replication: int | None = None,
    *,
    routes: Iterable[str] = (),
) -> list[str]:
    """Make the topics that are missing and return their names. Those that are there stay as they are.

    An output gets as many partitions as its input has, if that is there. Without ``replication``, three brokers keep
    each partition, or as many as there are.

    Raises:
        InvalidInput: If Kafka refuses a topic.
        Unavailable: If Kafka does not answer.
    """
    try:
        async with TopicAdmin(settings) as admin:
            copies = replication or min(WANTED, await admin.n_brokers())
            wanted = expected_topics(settings, partitions=partitions, replication=copies, routes=routes)
            there = await admin.partitions([spec.name for spec in wanted])
            missing = [_fitting(spec, settings, there) for spec in wanted if spec.name not in there]
            return await admin.create(missing) if missing else []
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"the topics cannot be made: {in_words(error)}") from error


async def create_routes(settings: Settings, routes: Sequence[str]) -> None:
    """Make the topics of routes that are missing, as wide as the widest input and kept as often as it.

    Raises:
        InvalidInput: If Kafka refuses a topic.
        Unavailable: If Kafka does not answer.
    """
    try:
        async with TopicAdmin(settings) as admin:
            names = [settings.topics.route(route) for route in routes]
            there = await admin.replicas([*names, *(lane.input for lane in settings.all_lanes)])
            widest = max(
                (there[lane.input] for lane in settings.all_lanes if lane.input in there), key=len, default=[1]
            )
            specs = expected_topics(settings, partitions=len(widest), replication=widest[0], routes=routes)
            missing = [spec for spec in specs if spec.name in names and spec.name not in there]
            if missing:
                await admin.create(missing)
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"the topics of routes cannot be made: {in_words(error)}") from error


async def check_topics(
    settings: Settings, *, routes: Iterable[str] = (), only: Collection[str] | None = None
) -> list[str]:
    """Return all that is wrong with the topics, each with what to do about it.

    Args:
        settings: Say which topics there have to be.
        routes: Names of the routes there are.
        only: The topics to look at; all by default.

    Raises:
        InvalidInput: If Kafka does not let us look at one.
        Unavailable: If Kafka does not answer.
    """
    wanted = [s for s in expected_topics(settings, routes=routes) if only is None or s.name in only]
    try:
        async with TopicAdmin(settings) as admin:
            there = await admin.partitions([spec.name for spec in wanted])
            configs = await admin.configs(there)
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"the topics cannot be read: {in_words(error)}") from error
    require_allowed("read the settings of (DescribeConfigs)", there.keys() - configs.keys())
    found = {name: Found(count, configs[name]) for name, count in there.items()}
    return topic_problems(settings, wanted, found)


async def topic_warnings(settings: Settings, *, routes: Iterable[str] = ()) -> list[str]:
    """Return which topics, ours and Kafka's own, would lose something with one broker, each with what to do about it.

    Of a topic whose settings we may not read only the copies are looked at: who replays dead letters, for one, needs
    not read those of the topic of replays.

    Raises:
        Unavailable: If Kafka does not answer.
    """
    names = {spec.name for spec in expected_topics(settings, routes=routes)} | {settings.topics.replays}
    try:
        async with TopicAdmin(settings) as admin:
            n_brokers, visible = await admin.n_brokers(), await admin.visible()
            configs = await admin.configs(sorted(names & visible.keys()))
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"the topics cannot be read: {in_words(error)}") from error
    looked_at = sorted((names | _OF_KAFKA) & visible.keys())
    return dangers({name: _copies(visible[name], configs.get(name)) for name in looked_at}, n_brokers=n_brokers)


def _copies(replicas: Sequence[int], config: Mapping[str, str] | None) -> Copies:
    return Copies(min(replicas), int(config["min.insync.replicas"]) if config else None)


async def require_topics(settings: Settings, *, only: Collection[str] | None = None) -> None:
    """Return if all topics, or ``only`` some, are as they have to be.

    Raises:
        InvalidInput: With all that is wrong, and what to do.
        Unavailable: If Kafka does not answer.
    """
    if problems := await check_topics(settings, only=only):
        raise InvalidInput(problems)


def topic_problems(settings: Settings, wanted: Sequence[TopicSpec], found: Mapping[str, Found]) -> list[str]:
    """Compare the topics that have to be there with those that are. Pure."""
    missing = [spec.name for spec in wanted if spec.name not in found]
    problems = [f"topic {name} is missing: run `lexstream topics create`" for name in missing]
    for spec in wanted:
        if spec.name in found:
            problems += _wrong(spec, found[spec.name])
    routes = [spec.name for spec in wanted if settings.topics.route_name(spec.name) is not None]
    pairs = [(lane.input, lane.output) for lane in settings.all_lanes]
    pairs += [(lane.input, route) for lane in settings.all_lanes for route in routes]
    pairs += [(lane.input, settings.topics.dead_letters) for lane in settings.all_lanes]
    return [
        *problems,
        *_too_narrow(pairs, found),
        *_too_small_for_dead_letters(settings, found),
        *_not_single(settings, found),
    ]


def _wrong(spec: TopicSpec, found: Found) -> list[str]:
    problems = []
    policy = spec.config.get("cleanup.policy", "delete")
    got = found.config.get("cleanup.policy", policy)
    if set(got.split(",")) != set(policy.split(",")):
        problems.append(_alter(spec.name, "cleanup.policy", got=got, expected=policy))
    least = int(spec.config["max.message.bytes"])
    if (size := int(found.config.get("max.message.bytes", least))) < least:
        problems.append(_alter(spec.name, "max.message.bytes", got=str(size), expected=str(least)))
    return problems


def _alter(name: str, setting: str, *, got: str, expected: str) -> str:
    return (
        f"topic {name} has {setting} {got}, expected {expected}: run "
        f"`kafka-configs --alter --topic {name} --add-config {setting}={expected}`"
    )


def _too_narrow(pairs: Iterable[tuple[str, str]], found: Mapping[str, Found]) -> list[str]:
    problems = {}
    for source, target in pairs:
        if source in found and target in found and found[target].partitions < found[source].partitions:
            problems[target] = (
                f"topic {target} has {found[target].partitions} partitions, expected at least the "
                f"{found[source].partitions} of its input {source}: run "
                f"`kafka-topics --alter --topic {target} --partitions {found[source].partitions}`"
            )
    return list(problems.values())


def _too_small_for_dead_letters(settings: Settings, found: Mapping[str, Found]) -> list[str]:
    """A dead letter holds the whole event: one that does not fit its topic would stop its partition."""
    name = settings.topics.dead_letters
    if name not in found:
        return []
    room = _largest(found[name])
    inputs = [lane.input for lane in settings.all_lanes if lane.input in found]
    return [
        f"topic {name} has max.message.bytes {room}, expected more than the {largest} of the input {source}: run "
        f"`kafka-configs --alter --topic {name} --add-config max.message.bytes={largest + _HEADERS_BYTES}`"
        for source in inputs
        if (largest := _largest(found[source])) >= room
    ]


def _largest(topic: Found) -> int:
    return int(topic.config.get("max.message.bytes", 0))


def _not_single(settings: Settings, found: Mapping[str, Found]) -> list[str]:
    names = settings.topics.control, settings.topics.control_events, settings.topics.registry
    return [
        f"topic {name} has {found[name].partitions} partitions, expected exactly 1 (its order is what counts): "
        "delete it, or choose another namespace, and run `lexstream topics create`"
        for name in names
        if name in found and found[name].partitions != 1
    ]


def _fitting(spec: TopicSpec, settings: Settings, there: Mapping[str, int]) -> TopicSpec:
    inputs = [lane.input for lane in settings.all_lanes if lane.output == spec.name]
    shared = spec.name == settings.topics.dead_letters or settings.topics.route_name(spec.name) is not None
    counts = [there[name] for name in (inputs or [lane.input for lane in settings.all_lanes]) if name in there]
    return replace(spec, partitions=max([spec.partitions, *counts])) if inputs or shared else spec
