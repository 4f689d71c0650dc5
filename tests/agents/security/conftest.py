"""One secured broker for the session: starting one takes seconds."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agents.broker import LocalBroker
from agents.broker.address import free_ports
from tests.agents.security.secured import LISTENERS, Secured, extras, make_certificates, token_endpoint
from tests.agents.security.story import Call, Values, said_by
from tests.broker import JARS


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker with all listeners, and an endpoint that gives tokens."""
    home = tmp_path_factory.mktemp("secured")
    certificates, (plain_port, *others) = make_certificates(home), free_ports(1 + len(LISTENERS))
    ports = dict(zip(LISTENERS, others, strict=True))
    with token_endpoint() as tokens:
        broker = LocalBroker(home, f"127.0.0.1:{plain_port}", cache=JARS, extras=extras(certificates, ports))
        try:
            plain = broker.start().address
            yield Secured(plain, {name: f"127.0.0.1:{port}" for name, port in ports.items()}, certificates, tokens)
        finally:
            broker.stop()


@pytest.fixture(scope="session")
def call_anywhere() -> Call:
    """Runs a command of ours with some settings and --json; returns the lines of its stdout."""

    def call(values: Values, *words: str) -> list[Any]:
        code, out, err = said_by(values, *words, "--json")
        assert code == 0, f"{words}: {err}"
        return [json.loads(line) for line in out.splitlines()]

    return call
