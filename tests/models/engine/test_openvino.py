"""What is special about OpenVINO: what it does to the machine, its memory, and where it can run."""

import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.engine import loading, openvino_backend
from models.engine.cpus import cpu_features
from models.engine.openvino_backend import OpenVinoBackend
from models.plans import Plan
from models.store import Store
from schemas.errors import ArtefactError
from tests.models.artefacts import make_manifest, tiny_graphs

# Leaves less memory than the second micro-batch needs; the first one and the third must succeed.
HUNGRY = """
import resource, sys
from pathlib import Path
import numpy as np
from models.engine.openvino_backend import OpenVinoBackend
from models.plans import Plan
backend = OpenVinoBackend(Path(sys.argv[1]).read_bytes(), plan=Plan(backend="openvino-fp32"))
def run(rows, length):
    ids = np.full((rows, length), 1000, dtype=np.int32)
    return backend.encode(ids, np.ones_like(ids)).shape
run(1, 64)
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 200_000_000,) * 2)
try:
    run(20000, 128)
except MemoryError as error:
    assert "(20000, 128)" in str(error), error
else:
    raise AssertionError("it fitted")
assert run(1, 64)[:2] == (1, 64)
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph"
    path.write_bytes(tiny_graphs()["onnx-fp32"])
    return path


def test_a_micro_batch_that_does_not_fit_is_a_memory_error_and_the_next_one_runs(graph: Path) -> None:
    subprocess.run([sys.executable, "-c", HUNGRY, graph], check=True)


def test_a_micro_batch_that_breaks_it_is_an_error_and_the_next_one_runs(graph: Path) -> None:
    backend = OpenVinoBackend(graph.read_bytes(), plan=Plan(backend="openvino-fp32"))
    ids = np.full((1, 600), 1000, dtype=np.int32)  # its positions end at 128
    short = ids[:, :8]
    expected = backend.encode(short, np.ones_like(short))
    with pytest.raises(RuntimeError):
        backend.encode(ids, np.ones_like(ids))
    np.testing.assert_array_equal(backend.encode(short, np.ones_like(short)), expected)


class ShortOfMemory(OpenVinoBackend):
    """Has memory for so many segments; a graph that got none fails from then on. Counts what it compiles and runs."""

    def __init__(self, fitting: int) -> None:
        self.fitting, self.n_compiled, self.n_runs = fitting, 0, 0
        super().__init__(tiny_graphs()["onnx-fp32"], plan=Plan(backend="openvino-fp32"))

    def _requests(self) -> "SimpleQueue[Any]":
        self.n_compiled += 1
        queue: SimpleQueue[Any] = SimpleQueue()
        queue.put(ShortRequest(self))
        return queue


class ShortRequest:
    def __init__(self, backend: ShortOfMemory) -> None:
        self.backend, self.failed, self.ids = backend, False, np.zeros((0, 0), dtype=np.int32)

    def start_async(self, inputs: dict[str, Any]) -> None:
        self.ids = inputs["input_ids"]

    def wait(self) -> None:
        self.backend.n_runs += 1
        self.failed |= len(self.ids) > self.backend.fitting
        if self.failed:
            raise RuntimeError("Transpose node with name 'Transpose_149' can't alloc")

    def get_output_tensor(self, _number: int) -> Any:
        return SimpleNamespace(data=self.ids)


def halved(backend: OpenVinoBackend, ids: Any) -> int:
    """Read a micro-batch as the engine does, halving what breaks; return how many segments were read."""
    try:
        return len(backend.encode(ids, np.ones_like(ids)))
    except MemoryError:
        middle = len(ids) // 2
        return 0 if len(ids) == 1 else halved(backend, ids[:middle]) + halved(backend, ids[middle:])


@pytest.mark.parametrize(("fitting", "n_compiled"), [(64, 1), (32, 2), (4, 5), (1, 7)])
def test_a_micro_batch_that_does_not_fit_compiles_the_graph_once_for_each_size(fitting: int, n_compiled: int) -> None:
    backend = ShortOfMemory(fitting)
    ids = np.full((64, 16), 1000, dtype=np.int32)
    assert halved(backend, ids) == 64
    assert backend.n_compiled == n_compiled
    assert halved(backend, ids) == 64
    assert backend.n_compiled == n_compiled


def test_what_did_not_fit_is_tried_again_after_a_while() -> None:
    backend = ShortOfMemory(4)
    ids = np.full((8, 16), 1000, dtype=np.int32)
    halved(backend, ids)
    backend.fitting = 8
    before = backend.n_runs
    halved(backend, ids)
    assert backend.n_runs == before + 2
    backend._no_memory = backend._no_memory[0], 0.0
    halved(backend, ids)
    assert backend.n_runs == before + 3


def test_a_shorter_or_smaller_micro_batch_is_no_larger_one() -> None:
    backend = ShortOfMemory(4)
    halved(backend, np.full((8, 16), 1000, dtype=np.int32))
    backend.fitting = 100
    runs = backend.n_runs
    for shape in ((7, 99), (99, 15), (1, 99)):
        assert halved(backend, np.full(shape, 1000, dtype=np.int32)) == shape[0]
    assert backend.n_runs == runs + 3


def test_an_error_that_is_none_of_memory_compiles_nothing(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OpenVinoBackend(graph.read_bytes(), plan=Plan(backend="openvino-fp32"))
    compiled = []
    monkeypatch.setattr(backend, "_requests", lambda: compiled.append(1))
    ids = np.full((1, 600), 1000, dtype=np.int32)  # its positions end at 128
    for _ in range(3):
        with pytest.raises(RuntimeError):
            backend.encode(ids, np.ones_like(ids))
    assert not compiled


def test_a_backend_that_the_processor_cannot_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OldProcessor:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino_backend, "_core", OldProcessor)
    monkeypatch.setattr(openvino_backend, "cpu_features", lambda: frozenset({"avx2"}))
    manifest = make_manifest(Store(f"file://{tmp_path}"))
    assert loading.possible_backends(manifest) == [
        "torch-fp32",
        "torch-bf16",
        "onnx-int8",
        "onnx-fp32",
        "openvino-fp32",
    ]
    loading.check_backend(manifest, "openvino-fp32")
    with pytest.raises(ArtefactError, match=r"got backend 'openvino-bf16'.* onnx-fp32, openvino-fp32 on this machine"):
        loading.check_backend(manifest, "openvino-bf16")


@pytest.mark.parametrize(
    ("features", "runs"), [({"avx512_vnni"}, True), ({"avx_vnni"}, True), ({"amx_int8"}, True), ({"avx512f"}, False)]
)
def test_int8_is_offered_where_the_processor_multiplies_it(
    features: set[str], runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, "cpu_features", lambda: frozenset(features))
    assert openvino_backend.runs_openvino("openvino-int8") is runs
    assert openvino_backend.runs_openvino("openvino-fp32")


def test_int8_weights_stay_int8_when_loaded(tmp_path: Path) -> None:
    (tmp_path / "graph").write_bytes(tiny_graphs()["openvino-int8"])
    core = openvino_backend._core()
    properties = openvino_backend._properties(Plan(backend="openvino-int8"))
    operators = core.compile_model(core.read_model(tmp_path / "graph"), "CPU", properties).get_runtime_model().get_ops()
    products = [each for each in operators if each.get_rt_info()["layerType"].astype(str) == "FullyConnected"]
    wide = [each.get_friendly_name() for each in products if "int8_t" not in str(each.input(1).get_element_type())]
    assert len(products) == 8
    # With AMX, OpenVINO multiplies what comes from the attention in BF16, whatever the weights are kept in.
    attention = [f"encoder.layer.{number}.attention.output.dense" for number in range(2)]
    assert sorted(wide) == (attention if "amx_bf16" in cpu_features() else [])


def test_without_the_graph_that_it_reads_it_is_not_possible(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    manifest = make_manifest(store)
    quantised = manifest.model_copy(update={"graphs": {"onnx-int8": manifest.graphs["onnx-int8"]}})
    assert loading.possible_backends(quantised) == ["torch-fp32", "torch-bf16", "onnx-int8"]
    with pytest.raises(ArtefactError, match="got backend 'openvino-fp32'"):
        loading.check_backend(quantised, "openvino-fp32")


def test_fp32_of_openvino_and_of_onnx_runtime_share_a_graph_but_not_an_encoder(tmp_path: Path) -> None:
    manifest = make_manifest(Store(f"file://{tmp_path}"))
    parts = [loading.parts_of(manifest, Plan(backend=name)) for name in ("onnx-fp32", "openvino-fp32")]
    assert parts[0].tokenizer == parts[1].tokenizer
    assert parts[0].encoder != parts[1].encoder
    assert all(manifest.graphs["onnx-fp32"] in part.encoder for part in parts)
