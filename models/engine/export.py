"""Encoders to ONNX graphs: FP32 and two of dynamic INT8. Used at the end of a training.

INT8 has weights per channel. For ONNX Runtime activations are scaled per micro-batch while it runs, so results move a
little with the company that a document is in; for OpenVINO per token (``models.engine.int8_graph``). That costs
quality, which is why an evaluation decides whether it is served.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import load

from models.encoder import max_tokens_of, module_from, read_config
from models.engine.bert_graph import fused_bert, is_fusible
from models.engine.int8_graph import calibration_samples, int8_graph

_QUANTISED = ("MatMul", "Attention", "Gemm")
_OPSET = 20


def export_graphs(config: bytes, weights: bytes, *, tokenizer: bytes) -> dict[str, bytes]:
    """Return the graphs of an encoder by the backend that runs them. Takes seconds; large encoders tens of them.

    Args:
        config: Its ``config.json``.
        weights: Its ``model.safetensors``, as ``models.encoder.weights_of`` gives it.
        tokenizer: Its ``tokenizer.json``.
    """
    facts = read_config(config)
    tensors: Mapping[str, NDArray[np.float32]] = load(weights)
    fusible = is_fusible(facts)
    graph = fused_bert(facts, tensors) if fusible else _traced(config, tensors)
    graphs = {"onnx-fp32": graph.SerializeToString(), "onnx-int8": quantised(graph)}
    if fusible:
        samples = calibration_samples(tokenizer, max_tokens=max_tokens_of(facts))
        graphs["openvino-int8"] = int8_graph(graph, samples=samples).SerializeToString()
    return graphs


def quantised(graph: onnx.ModelProto) -> bytes:
    """Return the graph with INT8 weights per channel and activations scaled while it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    marked = onnx.ModelProto()
    marked.CopyFrom(graph)
    onnx.helper.set_model_props(marked, {"onnx.quant.pre_process": "onnxruntime.quant"})  # else it logs a hint
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            marked,
            path,
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            reduce_range=True,  # 7 bits: processors without VNNI add two products in 16 bits, which 8 would overflow
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return path.read_bytes()


def _traced(config: bytes, tensors: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """Return the graph of any architecture, by torch's exporter."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return hidden

    copies = {name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}
    module = Encoder(module_from(config, copies, attention="eager")).eval()
    ids, mask = torch.ones((2, 16), dtype=torch.int32), torch.ones((2, 16), dtype=torch.int32)  # one would be shared
    axes: dict[int, Any] = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, (ids, mask), dynamo=True, verbose=False, opset_version=_OPSET, output_names=["hidden"],
            input_names=["input_ids", "attention_mask"], dynamic_shapes=(axes, axes),
        )  # fmt: skip
    if program is None:
        raise RuntimeError("the exporter gave no program")
    return program.model_proto
