import subprocess
import sys
from pathlib import Path

import pytest

from models.engine.cpus import available_cpus
from models.store import Store
from tests.models.artefacts import make_manifest

SCRIPT = """
import sys
from models.store import Store
from models.engine.engine import Engine, Request
engine = Engine(Store(sys.argv[1]))
model = engine.load(sys.argv[2])
assert "entities" in engine.predict([Request("John Smith paid $5.", (model,))])[0][0]
heavy = {"torch", "transformers", "sklearn", "scipy", "onnx", "huggingface_hub"} & set(sys.modules)
assert not heavy, heavy
"""


def test_serving_onnx_imports_no_torch(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    digest = store.save_manifest(make_manifest(store, backend="onnx-int8"))
    subprocess.run([sys.executable, "-c", SCRIPT, store.url, digest], check=True)


@pytest.mark.parametrize(
    ("content", "cpus"), [("100000 100000", 1), ("150000 100000", 1), ("max 100000", None), ("", None)]
)
def test_the_quota_of_a_container_counts(tmp_path: Path, content: str, cpus: int | None) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert available_cpus(tmp_path) == (cpus or available_cpus(tmp_path / "absent"))
