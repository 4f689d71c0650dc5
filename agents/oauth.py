"""Bearer tokens for Kafka's OAUTHBEARER: the client-credentials grant of RFC 6749 (section 4.4) over HTTP."""

import asyncio
import base64
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, KafkaError
from pydantic import BaseModel, Field, SecretStr, ValidationError

ANSWER_S: Final = 10.0
"""How long the endpoint may take for its whole answer."""
ANSWER_BYTES: Final = 64 * 1024
_USED: Final = 0.8
"""Of a token's life: then a new one is asked for, while the old one still holds."""
_UNSAID_S: Final = 60.0
"""How long a token is used whose life the endpoint does not tell."""
_BUSY: Final = frozenset({408, 425, 429})
_OK: Final = 200
_SERVER_ERROR: Final = 500
_CODE = re.compile(r"[a-z_]{1,40}")
_VISIBLE: Final = r"^[\x21-\x7e]+$"


class TokenRefused(KafkaError):  # type: ignore[misc] # aiokafka has no types
    """The token endpoint's answer is final: asking again gives the same."""


class TokenUnavailable(KafkaConnectionError):  # type: ignore[misc] # aiokafka has no types
    """The token endpoint cannot be reached, or cannot answer now."""


@dataclass(frozen=True)
class ClientCredentials:
    """Who asks for a token, and where.

    Attributes:
        url: The token endpoint.
        client_id: Who we are there.
        secret: Our password there.
        scope: What the token shall be good for; the endpoint's default if ``None``.
    """

    url: str
    client_id: str
    secret: SecretStr
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; times are those of a monotonic clock."""

    value: str = field(repr=False)
    renew_at: float
    ends_at: float


class _Answer(BaseModel):
    access_token: str = Field(pattern=_VISIBLE)
    token_type: str = Field(pattern="(?i)^bearer$")
    expires_in: float | None = Field(default=None, gt=0)


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """Gives the same token to all clients of a process until it has nearly ended, and then the next one.

    May be awaited on any event loop: Faust's consumer has one of its own, and so has the hot loop.

    Args:
        credentials: Who asks, and where.
        tls: Checks the endpoint's certificate; the system's authorities by default.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._tls = tls
        self._clock = clock
        self._token: Token | None = None
        self._asking = threading.Lock()

    async def token(self) -> str:
        """Return a token that holds.

        Raises:
            TokenRefused: If the endpoint will not give one.
            TokenUnavailable: If it does not answer.
        """
        token = self._token
        if token and self._clock() < token.renew_at:
            return token.value
        return (await asyncio.to_thread(self._renewed)).value

    def _renewed(self) -> Token:
        with self._asking:
            token = self._token
            if token and self._clock() < token.renew_at:
                return token
            try:
                # A loop of its own: so the time is bounded as a whole, however slowly an answer trickles in.
                token = asyncio.run(self._ask())
            except TokenUnavailable:
                if token is None or self._clock() >= token.ends_at:
                    raise
            self._token = token
            return token

    async def _ask(self) -> Token:
        import httpx

        url = self._credentials.url
        asked_at = self._clock()
        try:
            async with asyncio.timeout(ANSWER_S):
                status, body = await self._post()
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if found := _certificate_error(error):
                raise TokenRefused(f"the certificate of {url} is not trusted: {found}; check ssl_cafile") from None
            raise TokenUnavailable(f"{url} gives no token: {type(error).__name__}") from None
        return self._read(status, body, asked_at)

    async def _post(self) -> tuple[int, bytes]:
        import httpx

        form = {"grant_type": "client_credentials"}
        if self._credentials.scope:
            form["scope"] = self._credentials.scope
        headers = {"Authorization": _basic(self._credentials), "Accept": "application/json"}
        verify = self._tls or True
        body = b""
        # NOTE: a redirect is not followed: it would take the secret to another address.
        async with (
            httpx.AsyncClient(timeout=ANSWER_S, verify=verify, follow_redirects=False) as client,
            client.stream("POST", self._credentials.url, data=form, headers=headers) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    raise TokenRefused(f"{self._credentials.url} answers with more than {ANSWER_BYTES} bytes")
            return answer.status_code, body

    def _read(self, status: int, body: bytes, asked_at: float) -> Token:
        url = self._credentials.url
        if status in _BUSY or status >= _SERVER_ERROR:
            raise TokenUnavailable(f"{url} gives no token: HTTP {status}")
        if status != _OK:
            raise TokenRefused(
                f"{url} gives client {self._credentials.client_id} no token: HTTP {status}{_error_code(body)}; check "
                "sasl_oauth_token_url, sasl_oauth_client_id, sasl_oauth_client_secret and sasl_oauth_scope"
            )
        try:
            answer = _Answer.model_validate_json(body)
        except ValidationError:
            raise TokenRefused(
                f"{url} answers without a bearer token, expected JSON with access_token and token_type Bearer; "
                "check sasl_oauth_token_url"
            ) from None
        life_s = answer.expires_in or _UNSAID_S
        return Token(answer.access_token, asked_at + _USED * life_s, asked_at + life_s)


def _basic(credentials: ClientCredentials) -> str:
    # RFC 6749, section 2.3.1: form-encoded before it is joined.
    pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.secret.get_secret_value())}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _error_code(body: bytes) -> str:
    """Return the error's code as the RFC has it. The description may be anything, so it is not repeated."""
    found = re.search(rb'"error"\s*:\s*"([a-z_]+)"', body)
    code = found.group(1).decode() if found else ""
    return f" ({code})" if _CODE.fullmatch(code) else ""


def _certificate_error(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None
