"""What runs an encoder tells nobody of it, though its libraries would by themselves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.artefacts import tiny_graphs

# Runs the encoder, then says what of the network Python touched.
QUIET = """
import socket, sys
from pathlib import Path
touched = []
sys.addaudithook(lambda name, _: name.startswith(("socket.", "subprocess.", "os.fork")) and touched.append(name))
import numpy as np
from models.engine.BACKEND import CLASS
from models.plans import Plan
ids = np.full((1, 8), 1000, dtype=np.int32)
CLASS(Path(sys.argv[1]).read_bytes(), plan=Plan(backend="GRAPH")).encode(ids, np.ones_like(ids))
assert not touched, touched
heavy = {"openvino_telemetry", "torch", "transformers", "onnx"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("module", "backend", "graph"),
    [("openvino_backend", "OpenVinoBackend", "openvino-fp32"), ("onnx_backend", "OnnxBackend", "onnx-fp32")],
)
def test_nothing_is_sent_and_nothing_is_written_into_home_or_temporary_folder(
    module: str, backend: str, graph: str, tmp_path: Path
) -> None:
    file, places = tmp_path / "graph", {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    file.write_bytes(tiny_graphs()["onnx-fp32"])
    for place in places.values():
        place.mkdir()
    # Telemetry looks for signs of a build server and then keeps still; here it shall not.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH") if name in os.environ}
    program = QUIET.replace("BACKEND", module).replace("CLASS", backend).replace("GRAPH", graph)
    subprocess.run(
        [sys.executable, "-c", program, file],
        check=True,
        cwd=Path.cwd(),
        env=kept | {name: str(place) for name, place in places.items()},
    )
    assert [left for place in places.values() for left in place.rglob("*")] == []
