"""Whether a broker has no room left: Kafka itself gives many reasons for its end, and seldom this one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import DISK_FULL, NoSpace, Unavailable

_LITTLE = 16 * 1024 * 1024
"""Of indexes that it makes beforehand, a broker needs about this much to start."""


def lack_of_room(data: Path) -> str:
    """Return what to say beside Kafka's own words if there is next to no room for ``data``; nothing otherwise."""
    try:
        free = shutil.disk_usage(data).free
    except OSError:
        return ""
    return f"; the disk of {data} is full ({free // 1024:,} kB free): make room there" if free < _LITTLE else ""


@contextmanager
def told_as_ours(folder: Path) -> Iterator[None]:
    """Turn what the system says of the files in ``folder`` into an error of ours, which is worth another try.

    Raises:
        NoSpace: The disk is full, or a quota is used up.
        Unavailable: Anything else.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        if error.errno in DISK_FULL:
            raise NoSpace(f"no space left for {place}; make some") from error
        raise Unavailable(f"{place}: {error.strerror or error}") from error
