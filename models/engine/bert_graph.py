"""A BERT encoder as an ONNX graph of fused operators, written down directly from its weights.

Exporting through torch takes ten times as long, and leaves attention in twenty small operators that ONNX Runtime's
optimiser does not recognise any more. Other architectures go that way (``models.engine.export``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, NDArray[np.float32]]

_ACTIVATIONS = frozenset({"gelu"})
_OPSETS = (helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1))
_FUSED = "com.microsoft"


def is_fusible(config: Mapping[str, Any]) -> bool:
    """Whether ``fused_bert`` can write down the encoder with this ``config.json``."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") in _ACTIVATIONS
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
    )


def fused_bert(config: Mapping[str, Any], weights: Weights) -> onnx.ModelProto:
    """Return the graph: ``input_ids`` and ``attention_mask`` (int32, (B, T)) to ``hidden`` (B, T, H).

    Args:
        config: The encoder's ``config.json``.
        weights: Its tensors under their names in ``model.safetensors``.
    """
    graph = _Graph(weights, epsilon=float(config["layer_norm_eps"]))
    hidden = graph.embeddings()
    for layer in range(config["num_hidden_layers"]):
        hidden = graph.layer(hidden, at=f"encoder.layer.{layer}", n_heads=config["num_attention_heads"])
    graph.nodes.append(helper.make_node("Identity", [hidden], ["hidden"]))
    return graph.model(width=config["hidden_size"])


@dataclass
class _Graph:
    weights: Weights
    epsilon: float
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def embeddings(self) -> str:
        names = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
        norm = [f"embeddings.LayerNorm.{part}" for part in ("weight", "bias")]
        inputs = ["input_ids", "", *map(self.constant, [names[0], names[1]]), "", *map(self.constant, norm)]
        types = self.weights[names[2]][0]
        positions = self.weights[names[1]] + types  # there is one segment, so its embedding joins the positions
        self.constants[1].CopyFrom(numpy_helper.from_array(positions, names[1]))
        return self.fused("EmbedLayerNormalization", inputs, outputs=["embedded", ""], epsilon=self.epsilon)

    def layer(self, hidden: str, *, at: str, n_heads: int) -> str:
        attended = self.attention(hidden, at=at, n_heads=n_heads)
        projected = self.linear(attended, at=f"{at}.attention.output.dense")
        middle = self.normalised(projected, hidden, at=f"{at}.attention.output")
        wide = self.linear(middle, at=f"{at}.intermediate.dense")
        wide = self.fused("BiasGelu", [wide, self.constant(f"{at}.intermediate.dense.bias")], outputs=[f"{at}.gelu"])
        return self.normalised(self.linear(wide, at=f"{at}.output.dense"), middle, at=f"{at}.output")

    def attention(self, hidden: str, *, at: str, n_heads: int) -> str:
        parts = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self.weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        inputs = [hidden, self.array(f"{at}.qkv.weight", weight), self.array(f"{at}.qkv.bias", bias), "attention_mask"]
        return self.fused("Attention", inputs, outputs=[f"{at}.attended"], num_heads=n_heads)

    def linear(self, value: str, *, at: str) -> str:
        weight = self.array(f"{at}.weight.T", self.weights[f"{at}.weight"].T)
        self.nodes.append(helper.make_node("MatMul", [value, weight], [f"{at}.product"], name=at))
        return f"{at}.product"

    def normalised(self, value: str, residual: str, *, at: str) -> str:
        names = [f"{at}.LayerNorm.weight", f"{at}.LayerNorm.bias", f"{at}.dense.bias"]
        inputs = [value, residual, *map(self.constant, names)]
        return self.fused("SkipLayerNormalization", inputs, outputs=[f"{at}.normalised"], epsilon=self.epsilon)

    def fused(self, operator: str, inputs: list[str], *, outputs: list[str], **attributes: Any) -> str:
        name = f"{operator}.{outputs[0]}"
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=_FUSED, name=name, **attributes))
        return outputs[0]

    def constant(self, name: str) -> str:
        return self.array(name, self.weights[name])

    def array(self, name: str, value: NDArray[np.float32]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def model(self, *, width: int) -> onnx.ModelProto:
        shape = ["B", "T"]
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT32, shape) for n in ("input_ids", "attention_mask")]
        output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [*shape, width])
        graph = helper.make_graph(self.nodes, "encoder", inputs, [output], self.constants)
        return helper.make_model(graph, opset_imports=_OPSETS, ir_version=10, producer_name="lexstream")
