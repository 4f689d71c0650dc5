"""What the URL of a token endpoint has to be. Pure; the settings look here, and import no HTTP client for it."""

from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EXPECTED: Final = "got no URL, expected https://HOST/PATH"


def token_url_problem(url: str) -> str | None:
    """Return what is wrong with ``url``. It is not repeated, since it may hold a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return _EXPECTED
    if parts.scheme not in {"http", "https"} or not host:
        return _EXPECTED
    if parts.username or parts.password:
        return "got a user in the URL, expected none: set sasl_oauth_client_id and sasl_oauth_client_secret"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return f"got http://{host}, expected https: the secret would cross the network in the clear"
    return None
