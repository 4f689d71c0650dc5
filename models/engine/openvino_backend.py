"""OpenVINO: BF16 or FP32 on the same graph as ONNX Runtime, INT8 on its own. Imports neither torch nor transformers.

OpenVINO's ONNX reader knows ONNX Runtime's fused operators. For INT8 the weights are so in the graph; activations are
scaled per token and group of channels while it runs, and what is no matrix product is in BF16 where the processor can.
Compiling a graph takes a tenth of a second; there is no cache of compiled ones.
"""

import sys
import time
from functools import cache
from importlib import import_module
from queue import SimpleQueue
from threading import Lock
from typing import Any, Final

from models.engine.backend import Floats, Ints, one_line
from models.engine.cpus import cpu_features
from models.plans import Plan
from schemas.errors import ArtefactCorrupt

_CAPABILITIES: Final = {"openvino-bf16": "BF16", "openvino-fp32": "FP32", "openvino-int8": "INT8"}
_INT8_FEATURES: Final = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})
"""What multiplies INT8; other processors would gain nothing from it."""
_INT8_GROUP: Final = 128
"""Channels that share a scale. Measured: 384 is 5 % faster and errs by a quarter more, 64 is 8 % slower."""
_MEMORY_SIGNS: Final = (
    "Failed to allocate",
    "bad_alloc",
    "bad allocation",
    "out_of_memory",
    "out of memory",
    "can't alloc",
)
_REMEMBERED_S: Final = 5.0
"""How long a micro-batch is refused that is as large as one for which there was no memory."""
_CACHED_SHAPES: Final = 256
"""Prepared operators a stream keeps. Without a bound of ours it is 5,000, some 0.3 MB each."""
_HELD: Final = 1.8
"""Measured: memory of a loaded graph over the size of its file. Weights are kept as read beside those packed to run."""


class OpenVinoBackend:
    """An encoder as an ONNX graph: ``input_ids``, ``attention_mask`` (int32) to ``hidden``.

    There is one request a stream; a caller that finds none waits.
    """

    def __init__(self, graph: bytes, *, plan: Plan) -> None:
        """Compile a graph.

        Raises:
            ArtefactCorrupt: It is no graph that this version of OpenVINO can run.
        """
        self.plan = plan
        self.nbytes = int(len(graph) * _HELD)
        self._compiling = Lock()
        self._no_memory: tuple[tuple[int, ...], float] = (0, 0), 0.0
        try:
            self._model = _core().read_model(graph, b"")
            self._free: SimpleQueue[Any] | None = self._requests()
        except RuntimeError as error:
            raise ArtefactCorrupt(f"got a graph for {plan.backend} that cannot be loaded: {one_line(error)}") from error

    def encode(self, ids: Ints, mask: Ints) -> Floats:
        """Return hidden states, as ``Backend`` says. They are a copy: the request's next run changes nothing in it."""
        if len(ids) > 1 and self._is_too_large(ids.shape):
            raise MemoryError(f"no memory for a micro-batch of {ids.shape}: there was none for another just now")
        free = self._ready()
        request = free.get()
        try:
            # NOTE: ``infer`` swallows errors where there is one stream of one thread, and gives the last answer again.
            request.start_async({"input_ids": ids, "attention_mask": mask})
            request.wait()
            result: Floats = request.get_output_tensor(0).data.copy()
        except RuntimeError as error:
            if not _is_about_memory(error):
                raise
            if self._was_given_up(free, ids.shape):
                return self.encode(ids, mask)
            raise MemoryError(f"no memory for a micro-batch of {ids.shape}") from error
        finally:
            free.put(request)
            del free, request  # whoever handles the error must not keep the memory of a graph that was given up
        return result

    def _ready(self) -> SimpleQueue[Any]:
        """Return the requests, of a graph that is compiled anew if the last one was given up."""
        with self._compiling:
            if self._free is None:
                try:
                    self._free = self._requests()
                except RuntimeError as error:
                    if _is_about_memory(error):
                        raise MemoryError("no memory to compile the encoder's graph again") from error
                    raise
            return self._free

    def _requests(self) -> SimpleQueue[Any]:
        compiled = _core().compile_model(self._model, "CPU", _properties(self.plan))
        free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.plan.streams):
            free.put(compiled.create_infer_request())
        return free

    def _is_too_large(self, shape: tuple[int, ...]) -> bool:
        """Whether there was no memory for one that was no larger, a moment ago.

        Its halves are asked for next, and theirs: of each size one is tried, and the graph compiled once for it. A
        single segment is always tried, for it would be lost.
        """
        too_large, until = self._no_memory
        fits = any(size < limit for size, limit in zip(shape, too_large, strict=True))
        return not fits and time.monotonic() < until

    def _was_given_up(self, failed: SimpleQueue[Any], shape: tuple[int, ...]) -> bool:
        """Give a graph up, unless another thread did so since; return whether it did.

        A graph that got no memory keeps what it got, and fails again at sizes that fitted before. Other errors leave
        it as it was.
        """
        with self._compiling:
            if self._free is not failed:
                return True
            self._no_memory = shape, time.monotonic() + _REMEMBERED_S
            self._free = None
            return False


def _is_about_memory(error: RuntimeError) -> bool:
    return any(sign in str(error) for sign in _MEMORY_SIGNS)


def runs_openvino(backend: str) -> bool:
    """Whether this machine's processor can run a backend as it is named, rather than in another precision."""
    fast = backend != "openvino-int8" or not _INT8_FEATURES.isdisjoint(cpu_features())
    return fast and _CAPABILITIES[backend] in _capabilities()


def _capabilities() -> list[str]:
    names: list[str] = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return names


@cache
def _core() -> Any:
    """Return OpenVINO, without its conversion tool.

    When ``openvino`` is imported it imports that tool, which writes an id into the home folder and reports the import
    to its makers over the network. It does well without: the package passes over a tool that cannot be imported.
    """
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]  # how Python marks such a module
    return import_module("openvino").Core()


def _properties(plan: Plan) -> dict[str, Any]:
    in_bf16 = plan.backend != "openvino-fp32" and "BF16" in _capabilities()
    quantised = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": _INT8_GROUP} if plan.backend == "openvino-int8" else {}
    return quantised | {
        "INFERENCE_PRECISION_HINT": "bf16" if in_bf16 else "f32",
        "NUM_STREAMS": plan.streams,
        "INFERENCE_NUM_THREADS": plan.streams * plan.threads,
        # Workers that share a machine would all pin themselves to its first cores.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": _CACHED_SHAPES,
    }
