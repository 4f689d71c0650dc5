"""What the URLs have to be to which we send secrets. Pure; the settings look here, and import no HTTP client for it."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def token_url_problem(url: str) -> str | None:
    """Return what is wrong with the ``url`` of a token endpoint. It is not repeated, since it may hold a password."""
    if (parts := _parts(url)) is None:
        return "got no URL, expected https://HOST/PATH"
    if _has_login(parts):
        return "got a user in the URL, expected none: set sasl_oauth_client_id and sasl_oauth_client_secret"
    return _exposed(parts)


def registry_url_problem(url: str) -> str | None:
    """Return what is wrong with the ``url`` of a schema registry, which may hold a user and a password."""
    if (parts := _parts(url)) is None:
        return "got no URL, expected http://HOST or https://HOST"
    return _exposed(parts) if _has_login(parts) else None


def holds_login(url: str) -> bool:
    """Return whether ``url`` holds a user or a password."""
    parts = _parts(url)
    return parts is not None and _has_login(parts)


def _has_login(parts: SplitResult) -> bool:
    return bool(parts.username or parts.password)


def _exposed(parts: SplitResult) -> str | None:
    if parts.scheme == "https" or parts.hostname in _LOOPBACK:
        return None
    return f"got http://{parts.hostname}, expected https: the secret would cross the network in the clear"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and host else None
