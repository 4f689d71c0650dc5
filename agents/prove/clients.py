"""How confluent-kafka reaches Kafka: the independent client that publishes, swaps and reads."""

from contextlib import suppress
from typing import Any

from agents.settings import Settings
from agents.topics import expected_topics
from schemas.errors import LexstreamError

MOST_BYTES = 32 * 1024 * 1024
_DELETED_S = 20.0


def require_client() -> None:
    """See that the independent client is there.

    Raises:
        LexstreamError: It is not installed.
    """
    try:
        import confluent_kafka  # noqa: F401
    except ImportError as error:
        raise LexstreamError(
            "what proves or measures a worker uses a Kafka client that shares no code with it: "
            "pip install lexstream[prove]"
        ) from error


def confluent_options(settings: Settings) -> dict[str, Any]:
    """Return the options that every client is made with."""
    key = settings.ssl_keyfile or settings.ssl_certfile
    given = {
        "bootstrap.servers": settings.brokers,
        "security.protocol": settings.security_protocol,
        "sasl.mechanism": settings.sasl_mechanism if settings.security_protocol.startswith("SASL") else None,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password and settings.sasl_password.get_secret_value(),
        "ssl.ca.location": settings.ssl_cafile and str(settings.ssl_cafile),
        "ssl.certificate.location": settings.ssl_certfile and str(settings.ssl_certfile),
        "ssl.key.location": key and str(key),
        "ssl.key.password": settings.ssl_password and settings.ssl_password.get_secret_value(),
        "log_level": 0,  # it would tell of every connection that is cut, which is what we do here
        **(_oauth_options(settings) if settings.sasl_mechanism == "OAUTHBEARER" else {}),
    }
    return {name: value for name, value in given.items() if value is not None}


def _oauth_options(settings: Settings) -> dict[str, Any]:
    secret = settings.sasl_oauth_client_secret
    return {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": settings.sasl_oauth_token_url,
        "sasl.oauthbearer.client.id": settings.sasl_oauth_client_id,
        "sasl.oauthbearer.client.secret": secret and secret.get_secret_value(),
        "sasl.oauthbearer.scope": settings.sasl_oauth_scope,
        "https.ca.location": settings.ssl_cafile and str(settings.ssl_cafile),
    }


def producer_options(settings: Settings) -> dict[str, Any]:
    """Return the options of an idempotent producer that never gives up: it makes no duplicates and loses nothing."""
    return confluent_options(settings) | {
        "enable.idempotence": True,
        "message.timeout.ms": 0,
        "linger.ms": 5,
        "compression.type": "lz4",
        "message.max.bytes": MOST_BYTES,
        "reconnect.backoff.max.ms": 500,
    }


def consumer_options(settings: Settings) -> dict[str, Any]:
    """Return the options of a reader without a group that sees what is committed, and says when there is no more."""
    return confluent_options(settings) | {
        "group.id": f"{settings.group}-reader",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.message.max.bytes": MOST_BYTES,
        "reconnect.backoff.max.ms": 500,
    }


def delete_topics(settings: Settings) -> None:
    """Delete all topics of the namespace, as far as they are there and we may."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    names = [spec.name for spec in expected_topics(settings)]
    admin = AdminClient(confluent_options(settings))
    for deleted in admin.delete_topics(names, operation_timeout=_DELETED_S).values():
        with suppress(KafkaException):
            deleted.result()
