"""A member that assigns partitions and was told nothing of a topic, as by a node that has just started."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.group_coordinator import GroupCoordinator

from agents.hotloop.service import consumer_options
from agents.kafka import METADATA_MAX_AGE_MS, faust_options
from tests.agents.control_kit import Outside, Running, command, named, settings_of

CREATE = command("createProject", id="c1", kind="CustomEntityRecognition")


@pytest.mark.broker
@pytest.mark.slow
async def test_partitions_that_a_leader_did_not_know_are_assigned_within_seconds(
    kafka: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(kafka, namespace, tmp_path)
    known, perform, assigned = (
        ClusterMetadata.partitions_for_topic,
        GroupCoordinator._perform_assignment,
        asyncio.Event(),
    )

    def unknown_at_first(self: ClusterMetadata, topic: str) -> Any:
        return None if topic == settings.topics.control and not assigned.is_set() else known(self, topic)

    async def perform_once(self: GroupCoordinator, response: Any) -> Any:
        assignments = await perform(self, response)
        assigned.set()
        return assignments

    async with Outside(settings) as outside:
        monkeypatch.setattr(ClusterMetadata, "partitions_for_topic", unknown_at_first)
        monkeypatch.setattr(GroupCoordinator, "_perform_assignment", perform_once)
        async with Running(settings):
            await assigned.wait()
            await outside.hand_in(CREATE)
            await outside.events(until=lambda found: named(found, "c1") == ["accepted", "succeeded"])


def test_members_of_every_group_look_for_topics_that_often(tmp_path: Path) -> None:
    settings = settings_of("localhost:1", "n", tmp_path)
    assert consumer_options(settings)["metadata_max_age_ms"] == METADATA_MAX_AGE_MS
    assert faust_options(settings)["consumer_metadata_max_age_ms"] == METADATA_MAX_AGE_MS
