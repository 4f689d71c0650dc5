"""Fixtures that any test may ask for, and what every test leaves as it found it."""

import logging
from collections.abc import Iterator

import pytest

from tests.broker import kafka, namespace

__all__ = ["kafka", "namespace"]

_QUIETENED = ("agents", "aiokafka", "asyncio", "kafka")


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """A command run inside a test silences loggers for the rest of its process, which here goes on."""
    levels = {name: logging.getLogger(name).level for name in _QUIETENED}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
