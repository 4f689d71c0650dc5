"""A fused BERT graph with INT8 weights, for a runtime that makes its activations INT8 per token while it runs.

Activations of an encoder have a few channels far larger than all others, and those would take the whole range of INT8.
So part of what is large is moved into the weights first, which are scaled per output channel
(SmoothQuant, https://arxiv.org/abs/2211.10438). A text's answer does not depend on the texts beside it: no scale is
shared by two tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from models.engine.calibration_texts import CALIBRATION_TEXTS
from models.engine.cpus import available_cpus
from models.tokenization import Tokenizer

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

_PRODUCTS: Final = frozenset({"MatMul", "Attention"})
_MOVED: Final = 0.5
"""How much of the activations' range goes to the weights, as an exponent. Measured: 0.4 to 0.6 differ by a tenth."""
_STEPS: Final = 4
"""Factors are powers of two in these steps: figures that differ in their last bit shall not make another graph."""
_SMALLEST: Final = np.float32(1e-5)
_LARGEST_INT8: Final = 127


def calibration_samples(tokenizer: bytes, *, max_tokens: int) -> list[Ints]:
    """Return the token ids of the calibration texts, each with special tokens. Shape of each: (1, T)."""
    reader = Tokenizer(tokenizer)
    cut = [tokens.ids[: max_tokens - 2] for tokens in reader.encode(CALIBRATION_TEXTS)]
    return [np.concatenate([[reader.cls_id], ids, [reader.sep_id]]).astype(np.int32)[None] for ids in cut]


def int8_graph(graph: onnx.ModelProto, *, samples: Sequence[Ints]) -> onnx.ModelProto:
    """Return a graph from ``fused_bert`` with the weights of all matrix products as INT8. Takes about a second.

    Args:
        graph: The encoder in FP32.
        samples: Token ids of texts; it is run on them. Shape of each: (1, T).
    """
    weights = {each.name: each for each in graph.graph.initializer}
    largest = largest_inputs(graph, samples)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for node in graph.graph.node:
        if node.op_type in _PRODUCTS:
            weight = numpy_helper.to_array(weights.pop(node.input[1]))
            before, arrays = _quantised(node, weight, largest[node.input[0]])
            nodes += [*before, _reading(node, before[-1].output[0])]
            constants += [numpy_helper.from_array(array, name) for name, array in arrays.items()]
        else:
            nodes.append(node)
    facts = graph.graph
    made = helper.make_graph(nodes, facts.name, facts.input, facts.output, [*weights.values(), *constants])
    return helper.make_model(
        made, opset_imports=graph.opset_import, ir_version=graph.ir_version, producer_name=graph.producer_name
    )


def largest_inputs(graph: onnx.ModelProto, samples: Sequence[Ints]) -> dict[str, Floats]:
    """Return the largest absolute value of each channel of each product's input, by the input's name."""
    import onnxruntime

    names = list(dict.fromkeys(node.input[0] for node in graph.graph.node if node.op_type in _PRODUCTS))
    shown = onnx.ModelProto()
    shown.CopyFrom(graph)
    shown.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cpus()
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    largest: dict[str, Floats] = {}
    for ids in samples:
        values = session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, value in zip(names, values, strict=True):
            peak = np.abs(value).max(axis=(0, 1))
            largest[name] = np.maximum(largest.get(name, peak), peak)
    return largest


def smoothing(largest: Floats, weight: Floats) -> Floats:
    """Return by what each input channel is divided, and its row of the weight multiplied.

    Args:
        largest: The largest absolute value of each channel. Shape: (K,).
        weight: Shape: (K, N).
    """
    inputs, rows = np.maximum(largest, _SMALLEST), np.maximum(np.abs(weight).max(axis=1), _SMALLEST)
    exponents = _MOVED * np.log2(inputs) - (1 - _MOVED) * np.log2(rows)
    factors: Floats = np.exp2(np.round(exponents * _STEPS) / _STEPS).astype(np.float32)
    return factors


def _quantised(
    node: onnx.NodeProto, weight: Floats, largest: Floats
) -> tuple[list[onnx.NodeProto], Mapping[str, NDArray[np.float32] | NDArray[np.int8]]]:
    """Return what comes before a product, the node that gives its new input last, and the constants of these nodes."""
    value, name = node.input[:2]
    factors = smoothing(largest, weight)
    scaled = weight * factors[:, None]
    steps = np.maximum(np.abs(scaled).max(axis=0), _SMALLEST) / np.float32(_LARGEST_INT8)
    codes, scales, inverse, smooth = (f"{name}.{part}" for part in ("codes", "scales", "inverse", "input"))
    nodes = [
        helper.make_node("DequantizeLinear", [codes, scales], [name], axis=1, name=f"{name}.float"),
        helper.make_node("Mul", [value, inverse], [smooth], name=smooth),
    ]
    return nodes, {codes: np.round(scaled / steps).astype(np.int8), scales: steps, inverse: 1 / factors}


def _reading(node: onnx.NodeProto, value: str) -> onnx.NodeProto:
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[0] = value
    return changed
