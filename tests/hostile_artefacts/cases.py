"""Artefacts that somebody has tampered with, each whole by its digests, made from a small one that is good."""

from collections.abc import Callable
from pathlib import Path

from models.manifest import CONFIG, TOKENIZER, WEIGHTS
from tests.hostile_artefacts.bench import Bench
from tests.hostile_artefacts.damage import cut_short, damaged, enormous, linked, linked_to_its_copy, overwritten, piped
from tests.hostile_artefacts.graphs import (
    graph_of_width,
    graph_with_external_data,
    graph_with_hidden_operator,
    graph_with_nan,
    graph_with_node,
)
from tests.hostile_artefacts.manifests import future_manifest, manifest_naming, manifest_with_file, more_fields
from tests.hostile_artefacts.tokenizers import config_with, replacing, splitting, tokenizer_with
from tests.hostile_artefacts.weights import (
    declares_terabytes,
    endless_header,
    nan_head,
    pickled,
    weights_with_nan,
    wide_head,
)
from tests.models.artefacts import TINY, WIDTH, tiny_weights

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
