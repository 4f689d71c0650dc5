"""Which Kafka runs the local broker: one that is there, or jars that are fetched once and checked."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents.broker import jars
from agents.broker.jars import find_kafka
from agents.broker.lock import JARS, KAFKA, LOGGING
from agents.broker.progress import Progress, ignore
from schemas.errors import DISK_FULL, NoSpace, Unavailable


def test_kafka_home_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "libs").mkdir()
    for name in ("kafka_2.13-4.2.1.jar", "kafka-clients-4.2.1.jar"):
        (tmp_path / "libs" / name).touch()
    kafka = find_kafka({"KAFKA_HOME": str(tmp_path)}, cache=tmp_path / "cache", on_progress=ignore)
    assert kafka.version == "4.2.1"
    assert kafka.classpath == f"{tmp_path}/libs/kafka-clients-4.2.1.jar:{tmp_path}/libs/kafka_2.13-4.2.1.jar"


@pytest.mark.parametrize(("jar", "found"), [("kafka_2.13-3.9.0.jar", "3.9.0"), ("other.jar", "no libs/kafka")])
def test_a_kafka_home_that_will_not_do_is_told(tmp_path: Path, jar: str, found: str) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / jar).touch()
    with pytest.raises(Unavailable, match=f"expected Kafka 4 or newer .* found {found}"):
        find_kafka({"KAFKA_HOME": str(tmp_path)}, cache=tmp_path, on_progress=ignore)


class Repository:
    """Stands for jgo's: 'downloads' what it was told to, to the place where jgo puts it."""

    def __init__(self, cache: Path, contents: dict[str, bytes]) -> None:
        self.cache, self.contents, self.asked = cache, contents, list[str]()

    def create_dependency(self, coordinate: str) -> Any:
        self.coordinate = coordinate
        return self

    @property
    def artifact(self) -> "Repository":
        return self

    def resolve(self) -> None:
        self.asked.append(self.coordinate)
        path = self.path(self.coordinate)
        if path.exists():
            return
        if self.coordinate not in self.contents:
            raise ConnectionError("no route")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.contents[self.coordinate])

    def path(self, coordinate: str) -> Path:
        group, name, version = coordinate.split(":")
        return self.cache / group / name / version / f"{name}-{version}.jar"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    contents = {"a:b:1": b"the jar", "c:d:2": b"another"}
    repository = Repository(tmp_path, contents)
    monkeypatch.setattr(jars, "JARS", {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})
    monkeypatch.setattr(jars, "_repository", lambda _: repository)
    monkeypatch.setattr(jars, "_PARALLEL", 1)
    return repository


def test_jars_are_fetched_once_and_progress_is_told(repository: Repository) -> None:
    told: list[Progress] = []
    kafka = find_kafka({}, cache=repository.cache, on_progress=told.append)
    assert [jar.read_bytes() for jar in kafka.jars] == [b"the jar", b"another"]
    assert [(step.done, step.total) for step in told] == [(0, 2), (1, 2), (2, 2)]

    find_kafka({}, cache=repository.cache, on_progress=told.append)
    assert repository.asked == ["a:b:1", "c:d:2"]
    assert len(told) == 3


def test_a_download_that_broke_off_is_fetched_again(repository: Repository) -> None:
    find_kafka({}, cache=repository.cache, on_progress=ignore)
    repository.path("a:b:1").write_bytes(b"the j")
    kafka = find_kafka({}, cache=repository.cache, on_progress=ignore)
    assert kafka.jars[0].read_bytes() == b"the jar"
    assert repository.asked == ["a:b:1", "c:d:2", "a:b:1"]


def test_a_jar_that_is_not_the_expected_one_is_refused_and_removed(repository: Repository) -> None:
    repository.contents["a:b:1"] = b"something else"
    with pytest.raises(Unavailable, match="a:b:1 is not the jar that was expected"):
        find_kafka({}, cache=repository.cache, on_progress=ignore)
    assert not repository.path("a:b:1").exists()


def test_without_a_network_the_error_says_what_to_do(repository: Repository) -> None:
    repository.contents.clear()
    with pytest.raises(Unavailable, match="cannot get a:b:1: no route; connect once, or set KAFKA_HOME"):
        find_kafka({}, cache=repository.cache, on_progress=ignore)


@pytest.mark.broker
def test_the_locked_jars_are_what_the_coordinates_resolve_to(tmp_path: Path) -> None:
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(resolver=PythonResolver(), repo_cache=tmp_path, timeout=60)
    roots, others = context.resolver.resolve([context.create_dependency(KAFKA)])
    needed = [*roots, *(one for one in others if one.scope in {"compile", "runtime"})]
    assert {f"{one.groupId}:{one.artifactId}:{one.version}" for one in needed} | {LOGGING} == set(JARS)


@dataclass
class FullDisk:
    error: int

    def create_dependency(self, coordinate: str) -> None:
        raise OSError(self.error, os.strerror(self.error), coordinate)


@pytest.mark.parametrize("error", sorted(DISK_FULL))
def test_a_full_disk_is_called_so_and_leaves_no_jar_that_is_cut_short(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: int
) -> None:
    monkeypatch.setattr("agents.broker.jars._repository", lambda _cache: FullDisk(error))
    with pytest.raises(NoSpace, match=f"no space left in {re.escape(str(tmp_path))}; make some"):
        find_kafka({}, cache=tmp_path, on_progress=ignore)
    assert not list(tmp_path.rglob("*.jar"))
