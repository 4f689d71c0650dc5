"""ONNX Runtime, FP32 or dynamic INT8. Imports neither torch nor transformers."""

import onnxruntime as ort

from models.engine.backend import Floats, Ints, one_line
from models.plans import Plan
from schemas.errors import ArtefactCorrupt

_MEMORY_SIGNS = ("Failed to allocate memory", "bad_alloc", "BFCArena")


class OnnxBackend:
    """An encoder as an ONNX graph: ``input_ids``, ``attention_mask`` (int32) to ``hidden``."""

    def __init__(self, graph: bytes, *, plan: Plan) -> None:
        """Load a graph.

        Raises:
            ArtefactCorrupt: It is no graph that this version of ONNX Runtime can run.
        """
        self.plan = plan
        self.nbytes = len(graph)
        options = ort.SessionOptions()
        options.intra_op_num_threads = plan.threads
        options.inter_op_num_threads = 1
        # Waiting threads would spin on the cores that tokenisation and the Kafka client need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's kinds have no common base
            raise ArtefactCorrupt(f"got a graph for {plan.backend} that cannot be loaded: {one_line(error)}") from error

    def encode(self, ids: Ints, mask: Ints) -> Floats:
        """Return hidden states, as ``Backend`` says."""
        try:
            (hidden,) = self._session.run(["hidden"], {"input_ids": ids, "attention_mask": mask})
        except Exception as error:
            if any(sign in str(error) for sign in _MEMORY_SIGNS):
                raise MemoryError(f"no memory for a micro-batch of {ids.shape}") from error
            raise
        result: Floats = hidden
        return result
