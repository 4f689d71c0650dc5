"""The first words with Kafka, and what its refusals mean.

aiokafka tries all addresses and then says that none could be reached; why is only in its log. Here each answer is
looked at: what is final (a wrong password, a certificate nobody trusts, another protocol) is told in one line.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from agents.oauth import TokenRefused
from schemas.errors import InvalidSettings

_LOOK_S: Final = 3.0
_HANG_UP_S: Final = 1.0
_SAID: Final = 300
_HUNG_UP: Final = (ssl.SSLError, ConnectionResetError, BrokenPipeError)


async def greet(brokers: str, options: Mapping[str, Any], *, timeout_s: float) -> None:
    """Connect to the first address that answers, log in, ask one question and hang up.

    Args:
        brokers: The addresses, parted by commas.
        options: Of aiokafka's clients.
        timeout_s: For each step at each address.

    Raises:
        InvalidSettings: If no address let us in, and one of them never will; one line that says why.
        KafkaError, OSError, TimeoutError: If no address let us in, but that may change.
    """
    refusals: list[str] = []
    last: Exception = KafkaConnectionError(f"no address in {brokers!r}")
    for host, port, _ in collect_hosts(brokers, randomize=False):
        try:
            async with _connection(host, port, options, timeout_s) as connection:
                answer = await connection.send(MetadataRequest([]))
            if not answer.brokers:  # so answers who has not let us in
                raise KafkaConnectionError(f"{host}:{port} names no broker")
        except (KafkaError, OSError, TimeoutError) as error:
            last = error
            address = f"{host}:{port}"
            if why := refusal(error, address, options) or await _looked_at(error, host, port, options):
                refusals.append(why)
        else:
            return
    if refusals:
        raise InvalidSettings(refusals[:1]) from last
    raise last


@asynccontextmanager
async def _connection(
    host: str, port: int, options: Mapping[str, Any], timeout_s: float
) -> AsyncIterator[AIOKafkaConnection]:
    given = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    given |= {"request_timeout_ms": int(timeout_s * 1000)}
    connected: list[AIOKafkaConnection] = []
    connection = AIOKafkaConnection(host, port, **given, on_close=lambda one, _reason: connected.append(one))
    try:
        async with asyncio.timeout(2 * timeout_s):
            await connection.connect()
        yield connection
    finally:
        # Also one that was not let in: TLS takes a moment to hang up, and the loop may end before it has.
        ended = connection.close()
        if connected:
            await asyncio.wait([ended], timeout=_HANG_UP_S)


def refusal(error: BaseException, address: str, options: Mapping[str, Any]) -> str | None:
    """Return the line for an answer that is final, or ``None`` if waiting may help. Pure."""
    found = (_of_login(cause, address, options) or _of_tls(cause, address) for cause in _chain(error))
    return next(filter(None, found), None)


def _of_login(cause: BaseException, address: str, options: Mapping[str, Any]) -> str | None:
    match cause:
        case TokenRefused():
            return str(cause.args[0])
        case SaslAuthenticationFailed():
            return f"{_login(address, options)}: {_said(cause)}; check sasl_username and sasl_password"
        case UnsupportedSaslMechanismError():
            return f"Kafka at {address} does not offer sasl_mechanism {options['sasl_mechanism']}: set another"
        case IllegalSaslStateError():
            return _other_protocol(address, options, options["security_protocol"].removeprefix("SASL_"))
        case _:
            return None


def _of_tls(cause: BaseException, address: str) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return f"the certificate of Kafka at {address} is not trusted: {_verification(cause)}; check ssl_cafile"
        case ssl.SSLError() if cause.reason and "ALERT" in cause.reason:
            return f"Kafka at {address} {_alert(cause.reason)}"
        case _:
            return None


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _login(address: str, options: Mapping[str, Any]) -> str:
    user = options.get("sasl_plain_username")
    who = f" of {user}" if user else ""
    return f"Kafka at {address} refuses the login{who} with {options['sasl_mechanism']}"


def _said(error: BaseException) -> str:
    return " ".join(" ".join(map(str, error.args)).split())[:_SAID].rstrip(".") or type(error).__name__


def _verification(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message.rstrip(".") or str(error.reason)


def _alert(reason: str) -> str:
    words = reason.partition("ALERT_")[2].replace("_", " ").lower()
    return f"refuses our certificate, or the lack of one ({words}): check ssl_certfile and ssl_keyfile"


def _other_protocol(address: str, options: Mapping[str, Any], found: str) -> str:
    return f"Kafka at {address} speaks {found}, got security_protocol {options['security_protocol']}: set {found}"


async def _looked_at(error: Exception, host: str, port: int, options: Mapping[str, Any]) -> str | None:
    """Look closer at somebody who hung up without a word: another protocol, or a token that is not good."""
    if isinstance(error, OSError) and not isinstance(error, _HUNG_UP):
        return None  # nobody is there
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(4 * _LOOK_S):
            found = await _protocol(host, port, options)
            if found and found != options["security_protocol"]:
                return _other_protocol(address, options, found)
            if found and options.get("sasl_mechanism") == "OAUTHBEARER":
                said = await _token_error(host, port, options)
                return said and f"{_login(address, options)}: {said}; check sasl_oauth_scope and the broker's settings"
    except (KafkaError, OSError, TimeoutError):
        return None
    return None


async def _protocol(host: str, port: int, options: Mapping[str, Any]) -> str | None:
    """Return what the listener speaks, or ``None`` if it answers nothing."""
    for transport in ("PLAINTEXT", "SSL"):
        bare = {"security_protocol": transport, "ssl_context": _unverified()}
        try:
            async with _connection(host, port, bare, _LOOK_S) as connection:
                answer = await connection.send(SaslHandShakeRequest("PLAIN"))
        except (KafkaError, OSError, TimeoutError) as error:
            if any("ALERT" in (cause.reason or "") for cause in _chain(error) if isinstance(cause, ssl.SSLError)):
                return str(options["security_protocol"]).replace("PLAINTEXT", "SSL")  # it wants to know who we are
            continue
        has_sasl = answer.error_code != IllegalSaslStateError.errno
        return f"SASL_{transport}" if has_sasl else transport
    return None


def _unverified() -> ssl.SSLContext:
    """A context that takes any certificate: nothing is said to whoever shows it but which protocol we look for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _token_error(host: str, port: int, options: Mapping[str, Any]) -> str | None:
    """Log in with a token and return why it is refused.

    NOTE: the broker says so as RFC 7628 has it, in a challenge. aiokafka takes that for a success.
    """
    token = await options["sasl_oauth_token_provider"].token()
    transport = {
        "security_protocol": options["security_protocol"].removeprefix("SASL_"),
        "ssl_context": options["ssl_context"],
    }
    async with _connection(host, port, transport, _LOOK_S) as connection:
        await connection.send(SaslHandShakeRequest("OAUTHBEARER"))
        answer = await connection.send(SaslAuthenticateRequest(f"n,,\x01auth=Bearer {token}\x01\x01".encode()))
    if answer.error_code:
        return " ".join(str(answer.error_message).split())[:_SAID]
    try:
        said = orjson.loads(answer.sasl_auth_bytes or b"{}")
    except orjson.JSONDecodeError:
        return None
    return str(said.get("status", "the token is not accepted"))[:_SAID] if said else None
