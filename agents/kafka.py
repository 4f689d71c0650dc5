"""How every client of ours reaches Kafka: addresses, TLS and SASL, for aiokafka and Faust alike."""

import asyncio
import logging
import ssl
import time
from functools import cache
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaConnectionError, KafkaError

from agents.handshake import greet
from agents.oauth import ClientCredentials, TokenProvider, TokenUnavailable
from agents.settings import Settings
from schemas.errors import InvalidSettings, Unavailable

logger = logging.getLogger(__name__)

_PAUSE_S = 0.5
_ONE_TRY_S = 5.0


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context, or ``None`` for a protocol without TLS.

    Raises:
        InvalidSettings: If a certificate or key cannot be used; the message says which.
    """
    if "SSL" not in settings.security_protocol:
        return None
    context = _trusting(settings.ssl_cafile)
    if settings.ssl_certfile:
        # NOTE: without a password OpenSSL would ask for one on the terminal.
        password = settings.ssl_password.get_secret_value() if settings.ssl_password else ""
        try:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
        except OSError as error:
            raise InvalidSettings([_unusable_pair(settings, error)]) from None
    return context


def _trusting(cafile: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile)
    except OSError as error:
        said = "holds no certificate (PEM)" if isinstance(error, ssl.SSLError) else error.strerror
        raise InvalidSettings([f"ssl_cafile {cafile}: {said}"]) from None


def _unusable_pair(settings: Settings, error: OSError) -> str:
    for name in ("ssl_certfile", "ssl_keyfile"):
        path: Path | None = getattr(settings, name)
        if path and not path.is_file():
            return f"{name} {path}: no such file"
    if not isinstance(error, ssl.SSLError):
        return f"ssl_certfile {settings.ssl_certfile}: {error.strerror}"
    key = settings.ssl_keyfile or settings.ssl_certfile
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"ssl_keyfile {key} is not the key of ssl_certfile {settings.ssl_certfile}"
    return f"ssl_certfile {settings.ssl_certfile} and its key {key} cannot be read as PEM; is ssl_password right?"


METADATA_MAX_AGE_MS: Final = 10_000
"""How old what a member of a group knows of topics may get.

The member that assigns partitions leaves out topics of which its node told nothing, as a node may that has just
started, and looks again only then: by default after five minutes, in which nobody reads them.
"""


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the options that every aiokafka client is made with.

    Raises:
        InvalidSettings: If a certificate or key cannot be used.
    """
    return {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
        **_sasl_options(settings),
    }


def _sasl_options(settings: Settings) -> dict[str, Any]:
    if not settings.security_protocol.startswith("SASL"):
        return {}
    if settings.sasl_mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": token_provider(settings)}
    assert settings.sasl_password is not None  # noqa: S101 - Settings made sure of it
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password.get_secret_value(),
    }


def token_provider(settings: Settings) -> TokenProvider:
    """Return what gets tokens for OAUTHBEARER: one for all clients of a process."""
    url, client_id, secret = (
        settings.sasl_oauth_token_url,
        settings.sasl_oauth_client_id,
        settings.sasl_oauth_client_secret,
    )
    assert url and client_id and secret  # noqa: S101 - Settings made sure of it
    return _shared(ClientCredentials(url, client_id, secret, settings.sasl_oauth_scope), settings.ssl_cafile)


@cache
def _shared(credentials: ClientCredentials, cafile: Path | None) -> TokenProvider:
    """The endpoint's certificate may come from the system's authorities or from the broker's own."""
    tls = ssl.create_default_context()
    if cafile:
        _trusting(cafile)
        tls.load_verify_locations(cafile)
    return TokenProvider(credentials, tls=tls)


def faust_options(settings: Settings) -> dict[str, Any]:
    """Return the broker options that a Faust app is made with.

    Raises:
        InvalidSettings: If a certificate or key cannot be used.
    """
    return {
        "broker": [f"kafka://{address.strip()}" for address in settings.brokers.split(",")],
        "broker_credentials": _faust_credentials(settings),
        "consumer_metadata_max_age_ms": METADATA_MAX_AGE_MS,
    }


def _faust_credentials(settings: Settings) -> object:
    import faust
    from faust.auth import OAuthCredentials
    from faust.types.auth import SASLMechanism

    context = ssl_context(settings)
    if not settings.security_protocol.startswith("SASL"):
        return faust.SSLCredentials(context=context) if context else None
    if settings.sasl_mechanism == "OAUTHBEARER":
        return OAuthCredentials(oauth_cb=token_provider(settings), ssl_context=context)
    assert settings.sasl_password is not None  # noqa: S101 - Settings made sure of it
    return faust.SASLCredentials(
        username=settings.sasl_username,
        password=settings.sasl_password.get_secret_value(),
        mechanism=SASLMechanism(settings.sasl_mechanism),
        ssl_context=context,
    )


async def wait_for_broker(settings: Settings) -> None:
    """Return when Kafka answers and knows us.

    Raises:
        InvalidSettings: If it answers and refuses us: to wait would not help.
        Unavailable: If it does not answer within ``broker_wait_s``; the message says what to look at.
    """
    end = time.monotonic() + settings.broker_wait_s
    said = False
    while True:
        try:
            return await greet(settings.brokers, client_options(settings), timeout_s=_ONE_TRY_S)
        except (KafkaError, OSError, TimeoutError) as error:
            if time.monotonic() > end:
                raise Unavailable(_advice(settings, error)) from error
            if not said:
                logger.warning("waiting up to %.0f s for Kafka at %s", settings.broker_wait_s, settings.brokers)
                said = True
            await asyncio.sleep(_PAUSE_S)


def _advice(settings: Settings, error: Exception) -> str:
    """Return the one line for people. That nobody could be reached is all that the client's own error says."""
    if isinstance(error, TokenUnavailable):
        return f"no token to log in at {settings.brokers} with: {error.args[0]}; check sasl_oauth_token_url"
    plain = settings.security_protocol == "PLAINTEXT"
    how = "" if plain else f" over {settings.security_protocol}"
    ordinary = type(error) is KafkaConnectionError or isinstance(error, OSError | TimeoutError)
    because = "" if ordinary else f" ({' '.join(map(str, error.args))})"
    more = "" if plain else ", security_protocol, sasl_* and ssl_*"
    return (
        f"no Kafka answers at {settings.brokers}{how}{because}; start one with `lexstream broker start`, "
        f"or set its address with --brokers{more}"
    )
