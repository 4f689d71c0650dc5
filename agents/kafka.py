"""How every client of ours reaches Kafka: addresses, TLS and SASL, for aiokafka and Faust alike."""

import asyncio
import logging
import ssl
import time
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents.settings import Settings
from schemas.errors import Unavailable

logger = logging.getLogger(__name__)


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context, or ``None`` for a protocol without TLS."""
    if "SSL" not in settings.security_protocol:
        return None
    context = ssl.create_default_context(cafile=settings.ssl_cafile)
    if settings.ssl_certfile:
        password = settings.ssl_password.get_secret_value() if settings.ssl_password else None
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
    return context


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the options that every aiokafka client is made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        assert settings.sasl_password is not None  # noqa: S101 - Settings made sure of it
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


def faust_options(settings: Settings) -> dict[str, Any]:
    """Return the broker options that a Faust app is made with."""
    import faust
    from faust.types.auth import SASLMechanism

    context = ssl_context(settings)
    credentials: object = None
    if settings.security_protocol.startswith("SASL"):
        assert settings.sasl_password is not None  # noqa: S101 - Settings made sure of it
        credentials = faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            mechanism=SASLMechanism(settings.sasl_mechanism),
            ssl_context=context,
        )
    elif context:
        credentials = faust.SSLCredentials(context=context)
    return {
        "broker": [f"kafka://{address.strip()}" for address in settings.brokers.split(",")],
        "broker_credentials": credentials,
    }


async def wait_for_broker(settings: Settings) -> None:
    """Return when Kafka answers.

    Raises:
        Unavailable: If it does not within ``broker_wait_s``; the message says what to look at.
    """
    end = time.monotonic() + settings.broker_wait_s
    said = False
    while True:
        client = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=5000)
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            if time.monotonic() > end:
                raise Unavailable(_advice(settings, error)) from error
            if not said:
                logger.warning("waiting up to %.0f s for Kafka at %s", settings.broker_wait_s, settings.brokers)
                said = True
            await asyncio.sleep(0.5)
        else:
            return
        finally:
            await client.close()


def _advice(settings: Settings, error: Exception) -> str:
    """Return the one line for people. That nobody could be reached is all that the client's own error says."""
    plain = settings.security_protocol == "PLAINTEXT"
    how = "" if plain else f" over {settings.security_protocol}"
    because = "" if isinstance(error, KafkaConnectionError) else f" ({' '.join(map(str, error.args))})"
    more = "" if plain else ", security_protocol, sasl_* and ssl_*"
    return (
        f"no Kafka answers at {settings.brokers}{how}{because}; start one with `lexstream broker start`, "
        f"or set its address with --brokers{more}"
    )
