"""How many processors there are for us, and what they can do."""

import os
from functools import cache
from pathlib import Path
from typing import Final

_NAME_KEYS: Final = ("model name", "Hardware", "cpu model", "CPU part")
_FEATURE_KEYS: Final = ("flags", "Features")


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors this process may use: its affinity, and the quota of its container."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _quota(cgroup / "cpu.max") or affinity))


def read_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Return name and instruction sets of the first processor in the text of ``/proc/cpuinfo``."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition(":")
        if separator:
            facts.setdefault(key.strip(), value.strip())
    name = next((facts[key] for key in _NAME_KEYS if facts.get(key)), "")
    features = next((facts[key] for key in _FEATURE_KEYS if key in facts), "")
    return " ".join(name.split()), frozenset(features.split())


@cache
def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the instruction sets of this machine's processors, by Linux' names; none where Linux does not say."""
    return read_cpuinfo(cpuinfo.read_text(errors="replace"))[1] if cpuinfo.exists() else frozenset()


def _quota(path: Path) -> int | None:
    try:
        quota, period = path.read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None
