"""Topics: what is wrong with them, and what making them leaves alone."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.settings import Settings
from agents.topics import Found, check_topics, create_routes, create_topics, expected_topics, topic_problems
from schemas.errors import InvalidInput, Unavailable
from tests import broker
from tests.agents.control_kit import settings_of

SETTINGS = settings_of("nowhere:1", "ns", Path("/nowhere"), lanes=["orders.in:orders.out"])


def as_they_should_be(routes: tuple[str, ...] = ("fraud",)) -> dict[str, Found]:
    return {spec.name: Found(spec.partitions, dict(spec.config)) for spec in expected_topics(SETTINGS, routes=routes)}


def problems(found: dict[str, Found]) -> list[str]:
    return topic_problems(SETTINGS, expected_topics(SETTINGS, routes=["fraud"]), found)


def test_topics_as_they_should_be_have_no_problem() -> None:
    assert problems(as_they_should_be()) == []


def test_lanes_and_routes_are_among_the_topics() -> None:
    assert {"orders.in", "orders.out", "ns.routes.fraud", "ns.documents", "ns.registry"} <= set(as_they_should_be())


@given(st.sets(st.sampled_from(sorted(as_they_should_be()))))
def test_every_missing_topic_is_named_with_what_to_do(gone: set[str]) -> None:
    found = {name: topic for name, topic in as_they_should_be().items() if name not in gone}
    assert sorted(problems(found)) == sorted(f"topic {name} is missing: run `lexstream topics create`" for name in gone)


@pytest.mark.parametrize("narrow", ["orders.out", "ns.routes.fraud", "ns.dead-letters"])
def test_an_output_that_is_narrower_than_its_input_is_told(narrow: str) -> None:
    found = as_they_should_be() | {"orders.in": Found(4, {})}
    found[narrow] = Found(3, found[narrow].config)
    (problem,) = problems(found)
    assert problem.startswith(f"topic {narrow} has 3 partitions, expected at least the 4 of its input")
    assert f"--topic {narrow} --partitions 4" in problem


def test_a_wider_output_is_no_problem() -> None:
    assert problems(as_they_should_be() | {"orders.out": Found(9, {})}) == []


@pytest.mark.parametrize("single", ["ns.control", "ns.registry"])
def test_a_topic_whose_order_counts_has_one_partition(single: str) -> None:
    found = as_they_should_be()
    found[single] = Found(2, found[single].config)
    (problem,) = problems(found)
    assert "expected exactly 1" in problem


def test_a_registry_that_forgets_is_told() -> None:
    found = as_they_should_be()
    found["ns.registry"] = Found(1, dict(found["ns.registry"].config) | {"cleanup.policy": "delete"})
    assert problems(found) == [
        "topic ns.registry has cleanup.policy delete, expected compact: run "
        "`kafka-configs --alter --topic ns.registry --add-config cleanup.policy=compact`"
    ]


def test_documents_that_would_be_thinned_out_by_compaction_are_told() -> None:
    found = as_they_should_be()
    found["ns.documents"] = Found(4, dict(found["ns.documents"].config) | {"cleanup.policy": "compact"})
    (problem,) = problems(found)
    assert "expected delete" in problem


def test_dead_letters_that_would_not_fit_are_told() -> None:
    found = as_they_should_be()
    found["orders.in"] = Found(4, dict(found["orders.in"].config) | {"max.message.bytes": "30000000"})
    (problem,) = problems(found)
    assert "ns.dead-letters" in problem
    assert "30000000" in problem
    assert "orders.in" in problem


def test_messages_that_would_not_fit_are_told() -> None:
    found = as_they_should_be() | {"ns.documents": Found(4, {"max.message.bytes": "1048588"})}
    (problem,) = problems(found)
    assert f"max.message.bytes 1048588, expected {SETTINGS.max_message_bytes}" in problem


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    return settings_of(kafka, namespace, tmp_path, lanes=[f"{namespace}.in:{namespace}.out"])


@pytest.mark.broker
async def test_topics_are_made_once_and_are_as_they_should_be(settings: Settings) -> None:
    assert len(await check_topics(settings)) == 12
    assert len(await create_topics(settings, 3)) == 12
    assert await check_topics(settings) == []
    assert await create_topics(settings, 3) == []


@pytest.mark.broker
async def test_topics_that_are_there_stay_and_their_outputs_fit_them(settings: Settings, kafka: str) -> None:
    broker.create_topics(kafka, f"{settings.namespace}.in", partitions=6, config={"max.message.bytes": "9000000"})
    async with asyncio.timeout(10):
        while f"topic {settings.namespace}.in is missing" in str(await check_topics(settings)):
            pass
    made = await create_topics(settings, 2)
    assert f"{settings.namespace}.in" not in made
    assert await check_topics(settings) == []
    await create_routes(settings, ["fraud", "fraud"])
    await create_routes(settings, ["fraud"])
    assert await check_topics(settings, routes=["fraud"]) == []


@pytest.mark.broker
async def test_what_kafka_refuses_is_told(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="cannot be made"):
        await create_topics(settings, 1, replication=9)


async def test_no_kafka_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        await check_topics(settings_of("127.0.0.1:1", "ns", tmp_path))
