"""Where Kafka's jars come from: ``KAFKA_HOME``, else Maven coordinates fetched once and checked by their SHA-256."""

import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.broker.lock import JARS, KAFKA
from agents.broker.locking import locked
from agents.broker.progress import OnProgress, Progress
from schemas.errors import DISK_FULL, NoSpace, Unavailable

_PARALLEL = 6
_CORE_JAR = re.compile(r"kafka_[\d.]+-(\d+)([\d.]+[^-]*)\.jar")


@dataclass(frozen=True)
class Kafka:
    """Apache Kafka, ready for Java."""

    version: str
    jars: tuple[Path, ...]

    @property
    def classpath(self) -> str:
        """The jars as Java wants them."""
        return ":".join(map(str, self.jars))


def find_kafka(environment: Mapping[str, str], *, cache: Path, on_progress: OnProgress) -> Kafka:
    """Return the Kafka of ``KAFKA_HOME``, else the one in ``cache``, after fetching what is missing there.

    Raises:
        Unavailable: ``KAFKA_HOME`` holds no Kafka 4, or a jar cannot be fetched or is not the expected one.
    """
    if home := environment.get("KAFKA_HOME"):
        return _installed(Path(home))
    with locked(cache / "lock"):
        return Kafka(KAFKA.rpartition(":")[2], tuple(_fetch_all(cache, on_progress)))


def _installed(home: Path) -> Kafka:
    jars = tuple(sorted(home.glob("libs/*.jar")))
    found = [match for jar in jars if (match := _CORE_JAR.fullmatch(jar.name))]
    if not found or int(found[0].group(1)) < 4:  # noqa: PLR2004 - older ones need ZooKeeper or other settings
        what = "".join(found[0].groups()) if found else "no libs/kafka_*.jar"
        raise Unavailable(f"expected Kafka 4 or newer in KAFKA_HOME {home}, found {what}")
    return Kafka("".join(found[0].groups()), jars)


def _fetch_all(cache: Path, on_progress: OnProgress) -> list[Path]:
    paths = {coordinate: _path(cache, coordinate) for coordinate in JARS}
    missing = [coordinate for coordinate, path in paths.items() if not _is_intact(path, JARS[coordinate])]
    if missing:
        _fetch(missing, cache=cache, on_progress=on_progress)
    return list(paths.values())


def _path(cache: Path, coordinate: str) -> Path:
    group, name, version = coordinate.split(":")
    return cache.joinpath(*group.split("."), name, version, f"{name}-{version}.jar")


def _is_intact(path: Path, sha256: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _fetch(missing: list[str], *, cache: Path, on_progress: OnProgress) -> None:
    repository = _repository(cache)
    there = len(JARS) - len(missing)
    on_progress(Progress("download", "Getting Apache Kafka", done=there, total=len(JARS)))
    with ThreadPoolExecutor(_PARALLEL) as pool:
        names = pool.map(lambda coordinate: _fetch_one(repository, coordinate, cache=cache), missing)
        for done, name in enumerate(names, start=there + 1):
            on_progress(Progress("download", name, done=done, total=len(JARS)))


def _repository(cache: Path) -> Any:
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ModuleNotFoundError as error:
        raise Unavailable("the local broker needs the extra `local`, or a KAFKA_HOME") from error
    # jgo's own resolver runs neither Maven nor Java.
    return MavenContext(resolver=PythonResolver(), repo_cache=cache, timeout=60)


def _fetch_one(repository: Any, coordinate: str, *, cache: Path) -> str:
    path = _path(cache, coordinate)
    path.unlink(missing_ok=True)  # NOTE: jgo takes what a download that broke off left behind for whole
    try:
        repository.create_dependency(coordinate).artifact.resolve()
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo raises RuntimeError for "not found"
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise NoSpace(f"cannot get {coordinate}: no space left in {cache}; make some, about 120 MB") from error
        raise Unavailable(f"cannot get {coordinate}: {error}; connect once, or set KAFKA_HOME") from error
    if not _is_intact(path, JARS[coordinate]):
        path.unlink(missing_ok=True)
        raise Unavailable(f"{coordinate} is not the jar that was expected (SHA-256 differs from {JARS[coordinate]})")
    return path.name
