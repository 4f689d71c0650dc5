"""Whether a broker has no room left: Kafka itself gives many reasons for its end, and seldom this one."""

import shutil
from pathlib import Path

_LITTLE = 16 * 1024 * 1024
"""Of indexes that it makes beforehand, a broker needs about this much to start."""


def lack_of_room(data: Path) -> str:
    """Return what to say beside Kafka's own words if there is next to no room for ``data``; nothing otherwise."""
    try:
        free = shutil.disk_usage(data).free
    except OSError:
        return ""
    return f"; the disk of {data} is full ({free // 1024:,} kB free): make room there" if free < _LITTLE else ""
