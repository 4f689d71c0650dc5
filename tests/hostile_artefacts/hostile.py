"""Artefacts that somebody has tampered with, each whole by its digests, made from a small one that is good."""

import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load, save

from models.manifest import CONFIG, TOKENIZER, WEIGHTS, Manifest, digest_of
from models.store import Store
from schemas.names import Kind
from tests.models.artefacts import TINY, WIDTH, make_manifest, random_head, tiny_config, tiny_graphs, tiny_weights


@dataclass
class Bench:
    """A local store, and a folder for what must not come to be."""

    store: Store
    root: Path
    outside: Path

    def blob(self, digest: str) -> Path:
        """Where a blob is."""
        return self.root / "blobs/sha256" / digest.removeprefix("sha256:")

    def marker(self) -> Path:
        """What is there if code of an artefact was run."""
        return self.outside / "was-run"

    def saved(self, **changes: Any) -> str:
        """Save a model, and return its digest."""
        return self.store.save_manifest(make_manifest(self.store, **changes))

    def put_manifest(self, facts: dict[str, Any]) -> str:
        """Write a manifest past all checks."""
        data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
        path = self.root / "models/sha256" / digest_of(data).removeprefix("sha256:") / "manifest.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest_of(data)

    def facts(self) -> dict[str, Any]:
        """A good manifest, to be changed."""
        facts: dict[str, Any] = orjson.loads(make_manifest(self.store).canonical())
        return facts

    def with_file(self, name: str, data: bytes, *, backend: str = "onnx-fp32") -> str:
        """Save a model with another file of its encoder."""
        manifest = make_manifest(self.store, backend=backend)
        files = manifest.encoder.files | {name: self.store.put(data)}
        return self.store.save_manifest(
            manifest.model_copy(update={"encoder": manifest.encoder.model_copy(update={"files": files})})
        )

    def with_graph(self, data: bytes) -> str:
        """Save a model with another graph."""
        return self.saved(graphs={"onnx-fp32": self.store.put(data)})


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


def pickled(bench: Bench) -> bytes:
    """A pickle that leaves a mark."""
    return pickle.dumps(Evil(bench.marker()))


def declares_terabytes() -> bytes:
    """A safetensors file of a hundred bytes that says it had terabytes."""
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1 << 20, 1 << 21], "data_offsets": [0, 1 << 43]}})
    return struct.pack("<Q", len(header)) + header.encode() + b"\0" * 16


def endless_header() -> bytes:
    """A safetensors file whose header alone is terabytes."""
    return struct.pack("<Q", 1 << 42) + b"{}"


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


def weights_with_nan() -> bytes:
    """Weights in which one is no number."""
    tensors = {name: value.copy() for name, value in load(tiny_weights()).items()}
    tensors["embeddings.word_embeddings.weight"][7, 7] = np.nan
    return save(tensors)


def config_with(**more: object) -> bytes:
    """A configuration with something else in it."""
    return tiny_config(**more)


def tokenizer_with(**parts: object) -> bytes:
    """The tokenizer with other parts."""
    from models.encoder import find_encoder

    return json.dumps(json.loads(find_encoder().tokenizer.read_bytes()) | parts).encode()


def splitting(pattern: str) -> dict[str, object]:
    """What comes before a tokenizer's vocabulary: cut where a pattern matches."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def replacing(text: str, content: str) -> dict[str, object]:
    """A normalizer that puts something else in the place of a text."""
    return {"type": "Replace", "pattern": {"String": text}, "content": content}


def slow_words() -> bytes:
    """A tokenizer that tries all pieces of words of any length."""
    facts = json.loads(tokenizer_with())
    facts["model"]["max_input_chars_per_word"] = 1 << 40
    facts["model"]["vocab"] |= {"a" * length: 40_000 + length for length in range(2, 3)}
    return json.dumps(facts).encode()


def wide_head(bench: Bench) -> str:
    """A head that is made for a wider encoder."""
    from models.heads import save_head

    return bench.saved(head=bench.store.put(save_head(random_head(Kind.ENTITIES, width=WIDTH + 16))))


def nan_head(bench: Bench) -> str:
    """A head with a value that is no number."""
    from models.heads import EntityHead, save_head

    head = random_head(Kind.ENTITIES)
    assert isinstance(head, EntityHead)
    head.weight[1, 1] = np.nan
    return bench.saved(head=bench.store.put(save_head(head)))


def future_manifest(bench: Bench) -> str:
    """A manifest of a format that comes later."""
    return bench.put_manifest(bench.facts() | {"formatVersion": 9, "plan": {"shape": "unheard of"}})


def more_fields(bench: Bench) -> str:
    """A manifest that says more than this version knows."""
    return bench.put_manifest(bench.facts() | {"runThis": "setup.py"})


def manifest_naming(place: str) -> Callable[[Bench], str]:
    """A manifest whose head is at ``place`` rather than a digest."""
    return lambda bench: bench.put_manifest(bench.facts() | {"head": place})


def manifest_with_file(name: str) -> Callable[[Bench], str]:
    """A manifest with one more file of its encoder."""

    def put(bench: Bench) -> str:
        facts = bench.facts()
        facts["encoder"]["files"][name] = bench.store.put(b"import os")
        return bench.put_manifest(facts)

    return put


def damaged(name: str, change: Callable[[Path], None]) -> Callable[[Bench], str]:
    """A good model, one file of which is changed in the store afterwards."""

    def put(bench: Bench) -> str:
        manifest = make_manifest(bench.store)
        digest = bench.store.save_manifest(manifest)
        change(bench.blob(_digest_of_part(manifest, name)))
        return digest

    return put


def _digest_of_part(manifest: Manifest, name: str) -> str:
    if name == "head":
        return manifest.head
    return manifest.graphs[name] if name in manifest.graphs else manifest.encoder.files[name]  # type: ignore[index]


def overwritten(path: Path) -> None:
    """Put something else into a file."""
    path.write_bytes(b"x")


def cut_short(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def linked(target: str) -> Callable[[Path], None]:
    """Put a symbolic link in the place of a file."""

    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def linked_to_its_copy(path: Path) -> None:
    """Put a link to the very content in the place of a file: what it leads to may change at any time."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path: Path) -> None:
    """Put a pipe that nobody writes to in the place of a file."""
    import os

    path.unlink()
    os.mkfifo(path)


def enormous(path: Path) -> None:
    """Make a file of terabytes that takes no room."""
    import os

    with path.open("r+b") as file:
        os.truncate(file.fileno(), 4 << 40)


Case = tuple[Callable[[Bench], str], str]

CASES: dict[str, Case] = {
    "wrong digest": (damaged("head", overwritten), "digest sha256:.*, expected sha256:"),
    "truncated weights": (damaged(WEIGHTS, cut_short), "digest sha256:.*, expected sha256:"),
    "truncated graph": (damaged("onnx-fp32", cut_short), "digest sha256:.*, expected sha256:"),
    "missing blob": (damaged(WEIGHTS, Path.unlink), "expected it to be there"),
    "link to a secret": (damaged("head", linked("/etc/passwd")), "no file at .*, expected a regular file"),
    "link to a copy": (damaged("head", linked_to_its_copy), "no file at .*, expected a regular file"),
    "device without end": (damaged("head", linked("/dev/zero")), "no file at .*, expected a regular file"),
    "pipe": (damaged(TOKENIZER, piped), "no file at .*, expected a regular file"),
    "file of terabytes": (damaged(WEIGHTS, enormous), "got 4398046511104 bytes .*, expected at most"),
    "truncated weights with their digest": (
        lambda bench: bench.with_file(WEIGHTS, tiny_weights()[:-100]), "no safetensors file .*, expected one"
    ),
    "truncated head with its digest": (
        lambda bench: bench.saved(head=bench.store.put(tiny_weights()[:1000])), "no safetensors file"
    ),
    "path in the manifest": (manifest_naming("../../../etc/passwd"), "head: String should match pattern"),
    "absolute path in the manifest": (manifest_naming("/etc/passwd"), "head: String should match pattern"),
    "device in the manifest": (manifest_naming("/dev/stdin"), "head: String should match pattern"),
    "path behind a digest": (manifest_naming(f"sha256:{'0' * 64}/../../x"), "head: String should match pattern"),
    "graph by a path": (
        lambda bench: bench.put_manifest(bench.facts() | {"graphs": {"../../x": bench.store.put(b"x")}}),
        "graphs.*String should match pattern",
    ),
    "code as a file": (manifest_with_file("modeling_evil.py"), "encoder.files.*Input should be"),
    "pickle as weights": (
        lambda bench: bench.with_file(WEIGHTS, pickled(bench)), "no safetensors file .*, expected one"
    ),
    "pickle as the head": (lambda bench: bench.saved(head=bench.store.put(pickled(bench))), "no safetensors file"),
    "pickle as the graph": (lambda bench: bench.with_graph(pickled(bench)), "graph that is no ONNX .*, expected one"),
    "pickle as the tokenizer": (
        lambda bench: bench.with_file(TOKENIZER, pickled(bench)), "tokenizer.json that cannot be read .*, expected"
    ),
    "remote code": (
        lambda bench: bench.with_file(CONFIG, config_with(auto_map={"AutoModel": "evil--modeling.Evil"})),
        r"asks for remote code \(auto_map\), expected",
    ),
    "remote code for the tokenizer": (
        lambda bench: bench.with_file(CONFIG, config_with(nested=[{"trust_remote_code": True}])),
        r"asks for remote code \(trust_remote_code\), expected",
    ),
    "custom tokenizer": (manifest_with_file("tokenization_evil.py"), "encoder.files.*Input should be"),
    "shape of the head": (wide_head, r"got a head of shapes .*, expected"),
    "shape of the graph": (
        lambda bench: bench.with_graph(graph_of_width(48)), r"shape \? x \? x 48, expected one of \? x \? x 32"
    ),
    "width of the configuration": (
        lambda bench: bench.with_file(CONFIG, config_with(hidden_size=64)), "'hiddenSize': 64.*, expected .*32"
    ),
    "shape of the weights": (
        lambda bench: bench.with_file(CONFIG, config_with(intermediate_size=128), backend="torch-fp32"),
        r"weights do not fit .* got \(64,\) for .*, expected \(128,\)",
    ),
    "weights of terabytes": (lambda bench: bench.with_file(WEIGHTS, declares_terabytes()), "no safetensors file"),
    "header of terabytes": (lambda bench: bench.with_file(WEIGHTS, endless_header()), "no safetensors file"),
    "head of terabytes": (lambda bench: bench.saved(head=bench.store.put(declares_terabytes())), "no safetensors"),
    "layers without end": (
        lambda bench: bench.with_file(CONFIG, config_with(num_hidden_layers=10**9)), "1000000000 layers, expected fewer"
    ),
    "configuration of terabytes": (
        lambda bench: bench.with_file(CONFIG, config_with(intermediate_size=1 << 38), backend="torch-fp32"),
        "weights do not fit the configuration",
    ),
    "external data": (
        lambda bench: bench.with_graph(graph_with_external_data(bench)), "external data.*, expected all of them in the"
    ),
    "custom operator": (
        lambda bench: bench.with_graph(graph_with_node("Shell", domain="com.evil")),
        "operator 'Shell' of domain 'com.evil', expected",
    ),
    "custom operator in a branch": (
        lambda bench: bench.with_graph(graph_with_hidden_operator()), "operator 'Shell' of domain 'com.evil', expected"
    ),
    "loop": (lambda bench: bench.with_graph(graph_with_node("Loop")), "may never end; expected none"),
    "context of a compiler": (
        lambda bench: bench.with_graph(graph_with_node("EPContext", domain="com.microsoft")), "reads other files"
    ),
    "exponential pattern": (
        lambda bench: bench.with_file(TOKENIZER, tokenizer_with(pre_tokenizer=splitting("(a+)+$"), normalizer=None)),
        r"regular expression '\(a\+\)\+\$', expected",
    ),
    "cubic pattern": (
        lambda bench: bench.with_file(TOKENIZER, tokenizer_with(pre_tokenizer=splitting("ж*ж*ж*z"), normalizer=None)),
        "got a tokenizer that (takes|gives up)",
    ),
    "enormous replacement": (
        lambda bench: bench.with_file(TOKENIZER, tokenizer_with(normalizer=replacing(" ", "x" * 1_000_000))),
        "puts 1000000 characters in the place of others, expected at most",
    ),
    "enormous tokenizer": (
        lambda bench: bench.with_file(TOKENIZER, b" " * (65 << 20) + b"{}"), "bytes .*, expected at most 67108864"
    ),
    "numbers that are none in the graph": (lambda bench: bench.with_graph(graph_with_nan()), r"no numbers \(NaN\)"),
    "numbers that are none in the weights": (
        lambda bench: bench.with_file(WEIGHTS, weights_with_nan(), backend="torch-fp32"), r"no numbers \(NaN\)"
    ),
    "numbers that are none in the head": (nan_head, "not finite numbers"),
    "future format": (future_manifest, "got format '9', expected 1 or 2: update Lexstream"),
    "unknown fields": (more_fields, "fields that this version does not write, expected"),
    "enormous manifest": (
        lambda bench: bench.put_manifest(bench.facts() | {"project": "p" * (17 << 20)}), "expected at most 16777216"
    ),
    "threads without end": (
        lambda bench: bench.put_manifest(bench.facts() | {"plan": {"backend": "onnx-fp32", "threads": 10**6}}),
        "plan.threads: Input should be less than",
    ),
    "positions without end": (
        lambda bench: bench.with_file(CONFIG, config_with(max_position_embeddings=1 << 40)), "maxTokens.*, expected"
    ),
}  # fmt: skip
"""Each artefact by what is wrong with it: how it is made, and what its refusal says."""

assert TINY["hidden_size"] == WIDTH
