"""Fixtures that any test may ask for, and what every test leaves as it found it."""

import logging
from collections.abc import Iterator

import pytest

from tests.broker import kafka, namespace

__all__ = ["kafka", "namespace"]

_LEVELS = {name: logging.getLogger(name).level for name in ("agents", "aiokafka", "asyncio", "kafka")}


@pytest.fixture(autouse=True)
def _loggers_as_at_first() -> Iterator[None]:
    """A command in a test or in a module's fixture silences loggers for the rest of its process: this one goes on."""
    _reset_loggers()
    yield
    _reset_loggers()


def _reset_loggers() -> None:
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
