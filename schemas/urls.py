"""URLs as people may see them. Pure."""

import re
from typing import Final

_LOGIN: Final = re.compile(r"(?<=//)[^/@]+(?=@)")


def without_login(url: str) -> str:
    """Return ``url`` with stars in the place of a user and a password (RFC 3986, section 3.2.1)."""
    return _LOGIN.sub("******", url)
