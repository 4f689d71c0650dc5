"""ONNX graphs that reach out of themselves, never end, or do not compute numbers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile_artefacts.bench import Bench
from tests.models.artefacts import WIDTH, tiny_graphs


def graph() -> onnx.ModelProto:
    """The small graph, to be changed."""
    return onnx.load_from_string(tiny_graphs()["onnx-fp32"])


def graph_with_external_data(bench: Bench) -> bytes:
    """A graph that reads weights from a file outside of its folder."""
    (bench.outside / "secret").write_bytes(b"\0" * 4 * WIDTH)
    changed = graph()
    for tensor in changed.graph.initializer:
        if tensor.dims == [WIDTH]:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", str(bench.outside / "secret")
            break
    return bytes(changed.SerializeToString())


def graph_with_node(operator: str, *, domain: str = "") -> bytes:
    """A graph with one more operator."""
    changed = graph()
    changed.graph.node.insert(0, helper.make_node(operator, ["input_ids"], ["more"], domain=domain))
    if domain:
        changed.opset_import.append(helper.make_opsetid(domain, 1))
    return bytes(changed.SerializeToString())


def graph_with_hidden_operator() -> bytes:
    """A graph with a custom operator in a branch of a condition."""
    branch = helper.make_graph(
        [helper.make_node("Shell", [], ["done"], domain="com.evil")], "branch", [],
        [helper.make_tensor_value_info("done", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    changed = graph()
    changed.graph.node.insert(0, helper.make_node("If", ["input_ids"], ["x"], then_branch=branch, else_branch=branch))
    return bytes(changed.SerializeToString())


def graph_with_nan() -> bytes:
    """A graph in which one weight is no number."""
    changed = graph()
    for tensor in changed.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if values.dtype == np.float32 and values.size > 1:
            values.flat[-1] = np.nan
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            break
    return bytes(changed.SerializeToString())


def graph_of_width(width: int) -> bytes:
    """A graph that says that its hidden states are of another width."""
    changed = graph()
    changed.graph.output[0].type.tensor_type.shape.dim[2].dim_value = width
    return bytes(changed.SerializeToString())
