"""The writer on a real broker: whoever holds the id writes, whoever held it before says that it was fenced."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agents.registry import Registry, RegistryFollower
from agents.settings import Settings
from agents.writer import Entry, Writer
from schemas.errors import Fenced
from tests.agents.control_kit import Outside, read_all, settings_of

pytestmark = pytest.mark.broker


@pytest.fixture
async def settings(kafka: str, namespace: str, tmp_path: Path) -> AsyncIterator[Settings]:
    settings = settings_of(kafka, namespace, tmp_path)
    async with Outside(settings):
        yield settings


def writer(settings: Settings) -> Writer:
    return Writer(settings, f"{settings.namespace}-only", group=settings.group, timeout_s=60)


async def written(settings: Settings) -> list[bytes | None]:
    return [message.value for message in await read_all(settings, settings.topics.registry)]


def entries(settings: Settings, n: int, value: bytes) -> Iterator[Entry]:
    return (Entry(settings.topics.registry, b"%d" % i, value) for i in range(n))


@pytest.mark.parametrize("n", [1, 3, 1200])
async def test_who_was_fenced_says_so_and_writes_nothing(settings: Settings, n: int) -> None:
    first, second = writer(settings), writer(settings)
    try:
        await first.take_over()
        await first.commit(entries(settings, 1, b"before"))
        await second.take_over()
        with pytest.raises(Fenced, match="took over"):
            await first.commit(entries(settings, n, b"late"))
        await second.commit(entries(settings, 1, b"after"))
    finally:
        await first.stop()
        await second.stop()
    assert await written(settings) == [b"before", b"after"]


async def test_a_source_that_fails_is_not_hidden_and_leaves_nothing(settings: Settings) -> None:
    def failing() -> Iterator[Entry]:
        yield from entries(settings, 2, b"half")
        raise ValueError("ours")

    only = writer(settings)
    try:
        await only.take_over()
        with pytest.raises(ValueError, match="ours"):
            await only.commit(failing())
        await only.take_over()
        await only.commit(entries(settings, 1, b"whole"))
    finally:
        await only.stop()
    assert await written(settings) == [b"whole"]


async def test_who_is_told_to_stop_in_a_commit_leaves_no_transaction_open(settings: Settings) -> None:
    only = writer(settings)
    await only.take_over()

    def until_told() -> Iterator[Entry]:
        yield from entries(settings, 1, b"half")
        assert committing.cancel()
        yield from entries(settings, 1, b"half")

    committing = asyncio.create_task(only.commit(until_told()))
    await asyncio.wait({committing})
    assert committing.cancelled()
    async with RegistryFollower(settings) as registry, asyncio.timeout(20):
        assert await registry.catch_up() == Registry(), "it would wait for a minute"


async def test_a_commit_without_taking_over_is_refused(settings: Settings) -> None:
    with pytest.raises(Fenced, match=r"expected take_over\(\) before"):
        await writer(settings).commit([])
