"""Fixtures that any test may ask for, and what every test leaves as it found it."""

import logging
from collections.abc import Iterator
from typing import NoReturn

import pytest

from agents import leaving
from agents.guards import guard_clients
from agents.settings import Settings
from tests.broker import kafka, namespace

__all__ = ["kafka", "namespace"]

_LEVELS = {name: logging.getLogger(name).level for name in ("agents", "aiokafka", "asyncio", "kafka")}


@pytest.fixture(autouse=True)
def _loggers_as_at_first() -> Iterator[None]:
    """A command in a test or in a module's fixture silences loggers for the rest of its process: this one goes on."""
    _reset_loggers()
    yield
    _reset_loggers()


@pytest.fixture(autouse=True, scope="session")
def _guarded() -> None:
    """As each process of ours does first."""
    guard_clients(Settings())


@pytest.fixture(autouse=True)
def _stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would end the process fails its test instead, with the error that it left for."""
    monkeypatch.setattr(leaving, "end", _failed)


def _failed(code: int) -> NoReturn:
    raise AssertionError(f"this would have ended the process with code {code}")


def _reset_loggers() -> None:
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
