"""Every backend against FP32 torch, on tiny random encoders; ``test_agreement`` has the real one."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from models.encoder import Encoder, find_encoder, module_from, weights_of
from models.engine.backend import BACKENDS, GRAPHS, OPENVINO_BACKENDS, Backend, Floats
from models.engine.export import export_graphs
from models.engine.onnx_backend import OnnxBackend
from models.engine.openvino_backend import OpenVinoBackend
from models.engine.torch_backend import TorchBackend
from models.plans import Plan
from schemas.errors import ArtefactCorrupt, TrainingError
from tests.models.artefacts import tiny_config, tiny_graphs, tiny_weights

# The root mean square of the difference, relative to that of FP32 torch.
TOLERANCE = {
    "torch-fp32": 1e-6, "onnx-fp32": 1e-5, "openvino-fp32": 1e-5,
    "torch-bf16": 0.03, "openvino-bf16": 0.03, "onnx-int8": 0.25, "openvino-int8": 0.05,
}  # fmt: skip


def backend(name: str, *, config: bytes, weights: bytes, graphs: dict[str, bytes], streams: int = 1) -> Backend:
    plan = Plan(backend=name, streams=streams)
    if name in GRAPHS:
        return (OpenVinoBackend if name in OPENVINO_BACKENDS else OnnxBackend)(graphs[GRAPHS[name]], plan=plan)
    return TorchBackend(config, weights, plan=plan)


def difference(one: Backend, other: Backend, ids: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> float:
    mask = np.ones_like(ids)
    mask[0, ids.shape[1] // 2 :] = 0
    seen = mask > 0
    expected, got = other.encode(ids, mask)[seen], one.encode(ids, mask)[seen]
    return float(np.sqrt(((got - expected) ** 2).sum() / (expected**2).sum()))


@pytest.mark.parametrize("name", BACKENDS)
def test_hidden_states_are_those_of_torch(name: str) -> None:
    parts = {"config": tiny_config(), "weights": tiny_weights(), "graphs": tiny_graphs()}
    ids = np.random.default_rng(0).integers(1000, 20000, (3, 24)).astype(np.int32)
    reference = backend("torch-fp32", **parts)  # type: ignore[arg-type]
    got = backend(name, **parts)  # type: ignore[arg-type]
    assert difference(got, reference, ids) < TOLERANCE[name]
    assert got.encode(ids, np.ones_like(ids)).dtype == np.float32
    assert (got.plan.backend, got.nbytes > 0) == (name, True)


@pytest.mark.parametrize("name", BACKENDS)
def test_as_many_threads_as_there_are_streams_get_their_own_answers(name: str) -> None:
    parts = {"config": tiny_config(), "weights": tiny_weights(), "graphs": tiny_graphs()}
    got = backend(name, **parts, streams=2)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    batches = [rng.integers(1000, 20000, (1 + i % 3, 8 + i)).astype(np.int32) for i in range(40)]
    alone = [got.encode(ids, np.ones_like(ids)) for ids in batches]
    kept = [hidden.copy() for hidden in alone]
    start = Barrier(2)

    def run(which: int) -> list[Floats]:
        start.wait()
        return [got.encode(ids, np.ones_like(ids)) for ids in batches[which::2]]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, range(2)))
    for which in range(2):
        for hidden, expected in zip(together[which], kept[which::2], strict=True):
            np.testing.assert_allclose(hidden, expected, atol=1e-5)
    for hidden, expected in zip(alone, kept, strict=True):
        np.testing.assert_array_equal(hidden, expected)  # what was handed out does not change later


def random_encoder(**facts: Any) -> tuple[bytes, bytes]:
    """Return the configuration and the weights of a tiny encoder of any architecture."""
    import torch
    from transformers import AutoConfig, AutoModel

    facts = {
        "vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 66, "pad_token_id": 1, **facts,
    }  # fmt: skip
    torch.manual_seed(0)
    module = AutoModel.from_config(AutoConfig.for_model(**facts))  # type: ignore[no-untyped-call]
    module.pooler = None
    return json.dumps(facts).encode(), weights_of(module)


def test_an_encoder_of_another_architecture_is_exported_too() -> None:
    config, weights = random_encoder(model_type="roberta", type_vocab_size=1)
    graphs = export_graphs(config, weights, tokenizer=b"")
    ids = np.random.default_rng(0).integers(5, 100, (2, 30)).astype(np.int32)
    ids[0, 15:] = 1
    reference = backend("torch-fp32", config=config, weights=weights, graphs=graphs)
    assert set(graphs) == {"onnx-fp32", "onnx-int8"}
    for name in (name for name, graph in GRAPHS.items() if graph in graphs):
        got = backend(name, config=config, weights=weights, graphs=graphs)
        assert difference(got, reference, ids) < TOLERANCE[name]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # transformers' own
def test_an_architecture_that_has_only_eager_attention_runs_on_torch() -> None:
    config, weights = random_encoder(model_type="deberta-v2")
    got = backend("torch-fp32", config=config, weights=weights, graphs={})
    ids = np.random.default_rng(0).integers(5, 100, (2, 30)).astype(np.int32)
    alone, together = got.encode(ids[:1], np.ones_like(ids[:1])), got.encode(ids, np.ones_like(ids))
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_weights_survive_the_way_into_the_store_and_back() -> None:
    from safetensors.torch import load

    module = module_from(tiny_config(), load(tiny_weights()), attention="eager")
    assert weights_of(module) == weights_of(module_from(tiny_config(), load(weights_of(module)), attention="sdpa"))


def test_a_graph_or_weights_that_are_none_are_refused() -> None:
    with pytest.raises(ArtefactCorrupt, match="onnx-int8 that cannot be loaded"):
        OnnxBackend(b"no graph", plan=Plan(backend="onnx-int8"))
    with pytest.raises(ArtefactCorrupt, match="openvino-fp32 that cannot be loaded"):
        OpenVinoBackend(b"no graph", plan=Plan(backend="openvino-fp32"))
    with pytest.raises(ArtefactCorrupt, match="encoder that cannot be loaded"):
        TorchBackend(tiny_config(), b"no weights", plan=Plan(backend="torch-fp32"))


def test_weights_of_another_configuration_are_refused() -> None:
    with pytest.raises(ArtefactCorrupt, match="cannot be loaded"):
        TorchBackend(tiny_config(hidden_size=64), tiny_weights(), plan=Plan(backend="torch-fp32"))


def test_the_default_encoder_is_found_without_torch() -> None:
    script = (
        "import sys, models.encoder as e; e.find_encoder(); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    encoder = find_encoder()
    assert isinstance(encoder, Encoder)
    assert (encoder.hidden_size, encoder.max_tokens, encoder.licence) == (384, 512, "Apache-2.0")


def test_an_encoder_in_a_folder_is_described(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"without model.safetensors, config.json, tokenizer.json"):
        find_encoder(str(tmp_path))
    (tmp_path / "config.json").write_bytes(
        tiny_config(model_type="roberta", max_position_embeddings=514, pad_token_id=1)
    )
    (tmp_path / "model.safetensors").write_bytes(tiny_weights())
    (tmp_path / "tokenizer.json").write_bytes(find_encoder().tokenizer.read_bytes())
    assert find_encoder(str(tmp_path)).max_tokens == 512
