"""The metrics port."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest

from agents.health import HealthServer
from agents.leaving import exit_code
from agents.metrics import Metrics
from schemas.errors import DeadLetterLimitExceeded, Fenced, InvalidInput, Unavailable


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@asynccontextmanager
async def serving(problems: list[str], metrics: Metrics) -> AsyncIterator[str]:
    with taken_port() as port:
        pass
    server = HealthServer("127.0.0.1", port, registry=metrics.registry, checks={"loop": lambda: problems})
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


async def test_ready_says_why_not() -> None:
    problems = ["no partitions"]
    async with serving(problems, Metrics()) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 503
            assert await answer.json() == {"ready": False, "problems": ["loop: no partitions"]}
        problems.clear()
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/livez") as answer:
            assert answer.status == 200


async def test_metrics_can_be_scraped() -> None:
    metrics = Metrics()
    metrics.events.labels("n.documents", "enriched").inc(3)
    async with serving([], metrics) as url, aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        assert 'lexstream_events_total{outcome="enriched",topic="n.documents"} 3.0' in await answer.text()


async def test_a_taken_port_is_one_clear_sentence() -> None:
    with taken_port() as port:
        server = HealthServer("127.0.0.1", port, registry=Metrics().registry, checks={})
        with pytest.raises(InvalidInput, match=f"metrics_port: cannot listen on 127.0.0.1:{port}"):
            await server.start()


async def test_port_zero_means_none() -> None:
    server = HealthServer("127.0.0.1", 0, registry=Metrics().registry, checks={})
    await server.start()
    await server.stop()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput(["x"]), 2),
        (Fenced(), 3),
        (RuntimeError(), 3),
        (Unavailable(), 4),
        (DeadLetterLimitExceeded(), 5),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code
