"""Which of the settings for TLS and SASL go together. Pure; one that would do nothing is a mistake, never ignored."""

from collections.abc import Set
from typing import Final

_PASSWORD: Final = ("sasl_username", "sasl_password")
_OAUTH: Final = ("sasl_oauth_token_url", "sasl_oauth_client_id", "sasl_oauth_client_secret")
_OAUTHBEARER: Final = "OAUTHBEARER"


def login_problem(given: Set[str], *, protocol: str, mechanism: str) -> str | None:
    """Return what is wrong with the settings that somebody gave, if anything.

    Args:
        given: Names of settings with a value that is not their default.
        protocol: Their ``security_protocol``.
        mechanism: Their ``sasl_mechanism``.
    """
    return _missing(given, protocol, mechanism) or _useless(given, protocol, mechanism)


def _missing(given: Set[str], protocol: str, mechanism: str) -> str | None:
    if "ssl_keyfile" in given and "ssl_certfile" not in given:
        return "ssl_keyfile needs ssl_certfile: the certificate that the key belongs to"
    if "ssl_password" in given and "ssl_certfile" not in given:
        return "ssl_password needs ssl_certfile, and ssl_keyfile if the key is in a file of its own"
    if not protocol.startswith("SASL"):
        return None
    oauth = mechanism == _OAUTHBEARER
    absent = [name for name in (_OAUTH if oauth else _PASSWORD) if name not in given]
    why = f"sasl_mechanism {mechanism}" if oauth else f"security_protocol {protocol}"
    return f"{why} needs {' and '.join(absent)}" if absent else None


def _useless(given: Set[str], protocol: str, mechanism: str) -> str | None:
    sasl, tls = protocol.startswith("SASL"), protocol.endswith("SSL")
    oauth = sasl and mechanism == _OAUTHBEARER
    if not sasl and (names := _starting(given, "sasl_")):
        return f"got {names}, but security_protocol {protocol} logs nobody in: expected SASL_SSL or SASL_PLAINTEXT"
    # The certificate of the token's endpoint is checked against ssl_cafile, too.
    if not tls and (names := _starting(given - ({"ssl_cafile"} if oauth else set()), "ssl_")):
        return f"got {names}, but security_protocol {protocol} encrypts nothing: expected SSL or SASL_SSL"
    if not oauth and (names := _starting(given, "sasl_oauth_")):
        return f"got {names}, but sasl_mechanism {mechanism} asks for no token: expected {_OAUTHBEARER}"
    if oauth and (names := " and ".join(name for name in _PASSWORD if name in given)):
        return f"got {names}, but sasl_mechanism {mechanism} takes none: expected PLAIN or SCRAM-SHA-256 or -512"
    return None


def _starting(given: Set[str], prefix: str) -> str:
    return " and ".join(sorted(name for name in given if name.startswith(prefix)))
