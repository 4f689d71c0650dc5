"""The order of the packages: what may import what, and what must not be loaded."""

import ast
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {"schemas": {"schemas"}, "models": {"schemas", "models"}, "agents": {"schemas", "models", "agents"}}
OURS = set(ALLOWED) | {"tests"}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package: str) -> None:
    # Python 3.11 cannot parse while it parses, as the log does of an earlier test's future that is collected meanwhile.
    gc.collect()
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imported(file)
        if name in OURS - ALLOWED[package]
    ]
    assert wrong == []


def modules_of(package: str) -> list[str]:
    files = (file.relative_to(ROOT).with_suffix("") for file in (ROOT / package).rglob("*.py"))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


def test_a_publisher_loads_neither_torch_nor_a_kafka_client() -> None:
    heavy = ("torch", "transformers", "onnxruntime", "aiokafka", "faust", "confluent_kafka")
    program = f"import {', '.join(modules_of('schemas'))}, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
