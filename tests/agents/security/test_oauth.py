"""The client-credentials grant, against an endpoint that answers as the RFC has it, and as it should not."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from agents import oauth
from agents.oauth import ClientCredentials, TokenProvider, TokenRefused, TokenUnavailable
from agents.secret_urls import token_url_problem
from tests.agents.security.secured import CLIENT_SECRET, WRONG, TokenEndpoint, token_endpoint


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with token_endpoint() as made:
        yield made


class Clock:
    """Seconds that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def provider(endpoint: TokenEndpoint, clock: Clock, *, secret: str = CLIENT_SECRET) -> TokenProvider:
    return TokenProvider(ClientCredentials(endpoint.url, "anna", SecretStr(secret), "kafka"), clock=clock)


def test_one_token_serves_all_loops_until_it_has_nearly_ended(endpoint: TokenEndpoint) -> None:
    clock = Clock()
    tokens = provider(endpoint, clock)

    async def several() -> set[str]:
        return set(await asyncio.gather(*(tokens.token() for _ in range(5))))

    first, again = asyncio.run(several()), asyncio.run(several())
    assert first == again
    assert endpoint.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka"]}]
    clock.now += 0.79 * endpoint.life_s
    asyncio.run(several())
    assert len(endpoint.asked) == 1
    clock.now += 0.02 * endpoint.life_s
    asyncio.run(several())
    assert len(endpoint.asked) == 2


def test_while_the_endpoint_is_away_a_token_is_used_to_its_end(endpoint: TokenEndpoint) -> None:
    clock = Clock()
    tokens = provider(endpoint, clock)
    first = asyncio.run(tokens.token())
    endpoint.answer = 503, b""
    clock.now += 0.9 * endpoint.life_s
    assert asyncio.run(tokens.token()) == first
    clock.now += 0.2 * endpoint.life_s
    with pytest.raises(TokenUnavailable, match="gives no token: HTTP 503"):
        asyncio.run(tokens.token())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, b'{"error": "invalid_scope"}'), r"HTTP 400 \(invalid_scope\)"),
        ((403, b'{"error": "the secret is hunter2"}'), "HTTP 403; check"),
        ((404, b"<html>"), "HTTP 404; check sasl_oauth_token_url"),
        ((302, b""), "HTTP 302"),
        ((200, b"<html>"), "answers without a bearer token"),
        ((200, b'{"access_token": "a b", "token_type": "bearer"}'), "answers without a bearer token"),
        ((200, b'{"access_token": "ab", "token_type": "mac"}'), "answers without a bearer token"),
        ((200, b"x" * 70_000), "answers with more than 65536 bytes"),
    ],
)
def test_an_answer_that_is_no_token_is_final(endpoint: TokenEndpoint, answer: tuple[int, bytes], said: str) -> None:
    endpoint.answer = answer
    endpoint.headers = {"Location": endpoint.url}
    with pytest.raises(TokenRefused, match=said) as error:
        asyncio.run(provider(endpoint, Clock()).token())
    assert "hunter2" not in str(error.value)
    assert len(endpoint.asked) == 1


def test_a_life_that_is_not_told_is_a_minute(endpoint: TokenEndpoint) -> None:
    endpoint.answer = 200, json.dumps({"access_token": "abc", "token_type": "bearer"}).encode()
    clock = Clock()
    tokens = provider(endpoint, clock)
    asyncio.run(tokens.token())
    clock.now += 49
    asyncio.run(tokens.token())
    assert len(endpoint.asked) == 2


def test_a_wrong_secret_is_told_without_it(endpoint: TokenEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(TokenRefused) as error:
        asyncio.run(provider(endpoint, Clock(), secret=WRONG).token())
    assert WRONG not in str(error.value) + caplog.text
    assert WRONG not in repr(provider(endpoint, Clock(), secret=WRONG)._credentials)


def test_an_endpoint_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/token"
        done = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                while not done.wait(0.05):
                    connection.sendall(b"H")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with pytest.raises(TokenUnavailable, match="gives no token: TimeoutError"):
                asyncio.run(TokenProvider(ClientCredentials(url, "anna", SecretStr("s"))).token())
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("url", ["https://idp.example.org/token", "http://localhost:8080/t", "http://[::1]/t"])
def test_https_or_loopback(url: str) -> None:
    assert token_url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://idp.example.org/token", "expected https"),
        ("https://anna:hunter2@idp.example.org/token", "a user in the URL"),
        ("ftp://idp.example.org", "got no URL"),
        ("token", "got no URL"),
        ("https://[::1", "got no URL"),
    ],
)
def test_other_urls_are_refused_and_not_shown(url: str, said: str) -> None:
    problem = token_url_problem(url)
    assert problem is not None
    assert said in problem
    assert "hunter2" not in problem
