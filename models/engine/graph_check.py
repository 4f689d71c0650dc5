"""An ONNX graph as bytes, looked through before any library reads it.

An artefact's graph is one file that computes hidden states from token ids, no more. So what could reach beyond the file
or never end is refused: tensors kept in other files, operators that are not ONNX's or ONNX Runtime's, loops. The bytes
are walked as they are, without the ``onnx`` package: a worker does not import it, and a copy of the weights would
take as much memory again.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from schemas.errors import ArtefactCorrupt

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE, _GRAPH_OUTPUT = 1, 5, 15, 12
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_FILE, _TENSOR_LOCATION = 2, 4, 8, 9, 13, 14
_FUNCTION_NODE, _FUNCTION_DOMAIN, _FUNCTION_ATTRIBUTE = 7, 10, 11
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_FLOAT32, _FLOAT16, _FLOAT64, _BFLOAT16 = 1, 10, 11, 16
_DOMAINS: Final = frozenset({"", "ai.onnx", "com.microsoft"})
_ENDLESS: Final = frozenset({"Loop", "Scan"})
_CONTEXTS: Final = frozenset({"EPContext"})
"""Reads a compiled graph from another file."""
_DEEPEST: Final = 32
_LARGEST: Final = 2**31 - 1
"""What ONNX, as every message of protobuf, can be at most."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_VARINT_BYTES: Final = 10


class _Field(NamedTuple):
    number: int
    value: int | memoryview

    @property
    def view(self) -> memoryview:
        """The bytes of a field that must be a message or a string."""
        if isinstance(self.value, int):
            raise _broken("a number in the place of a message")
        return self.value


def check_graph(data: bytes, *, width: int) -> None:
    """Refuse a graph that is more than an encoder of this width.

    Raises:
        ArtefactCorrupt: It is no ONNX, or reaches beyond its file, or may never end, or has weights that are no
            numbers, or gives hidden states of another width.
    """
    if len(data) > _LARGEST:
        raise ArtefactCorrupt(f"got a graph of {len(data)} bytes, expected at most {_LARGEST}")
    fields = list(_fields(memoryview(data)))
    functions = [field.view for field in fields if field.number == _MODEL_FUNCTION]
    graphs = [field.view for field in fields if field.number == _MODEL_GRAPH]
    if len(graphs) != 1:
        raise _broken(f"{len(graphs)} graphs in it")
    domains = _DOMAINS | {_text(field) for each in functions for field in _fields(each, _FUNCTION_DOMAIN)}
    for function in functions:
        for field in _fields(function, _FUNCTION_NODE, _FUNCTION_ATTRIBUTE):
            check = _check_node if field.number == _FUNCTION_NODE else _check_attribute
            check(field.view, domains, depth=1)
    _check_nodes(graphs[0], domains, depth=0)
    _check_width(graphs[0], width)


def _check_nodes(graph: memoryview, domains: frozenset[str], *, depth: int) -> None:
    if depth > _DEEPEST:
        raise ArtefactCorrupt(f"got a graph that is nested more than {_DEEPEST} deep, expected an encoder")
    for field in _fields(graph, _GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE):
        if field.number == _GRAPH_NODE:
            _check_node(field.view, domains, depth=depth)
        elif field.number == _GRAPH_TENSOR:
            _check_tensor(field.view)
        else:
            _check_sparse(field.view)


def _check_node(node: memoryview, domains: frozenset[str], *, depth: int) -> None:
    operator = domain = ""
    for field in _fields(node, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN):
        if field.number == _NODE_OPERATOR:
            operator = _text(field)
        elif field.number == _NODE_DOMAIN:
            domain = _text(field)
        else:
            _check_attribute(field.view, domains, depth=depth)
    if domain not in domains:
        raise ArtefactCorrupt(
            f"got a graph with operator {operator[:50]!r} of domain {domain[:50]!r}, expected those of ONNX and "
            "com.microsoft: custom operators are code"
        )
    if operator in _CONTEXTS | _ENDLESS:
        why = "reads other files" if operator in _CONTEXTS else "may never end"
        raise ArtefactCorrupt(f"got a graph with operator {operator!r}, which {why}; expected none in an encoder")


def _check_attribute(attribute: memoryview, domains: frozenset[str], *, depth: int) -> None:
    for field in _fields(attribute, *_ATTRIBUTE_TENSORS, *_ATTRIBUTE_GRAPHS, *_ATTRIBUTE_SPARSE):
        if field.number in _ATTRIBUTE_GRAPHS:
            _check_nodes(field.view, domains, depth=depth + 1)
        elif field.number in _ATTRIBUTE_TENSORS:
            _check_tensor(field.view)
        else:
            _check_sparse(field.view)


def _check_sparse(tensor: memoryview) -> None:
    for field in _fields(tensor, _SPARSE_VALUES, _SPARSE_INDICES):
        _check_tensor(field.view)


def _check_tensor(tensor: memoryview) -> None:
    kind, name = 0, ""
    numbers: list[memoryview] = []
    for field in _fields(tensor):
        if field.number in (_TENSOR_FILE, _TENSOR_LOCATION) and field.value not in (0, b""):
            raise ArtefactCorrupt(
                "got a graph with weights in another file (external data), expected all of them in the graph itself"
            )
        if field.number == _TENSOR_TYPE and isinstance(field.value, int):
            kind = field.value
        elif field.number == _TENSOR_NAME:
            name = _text(field)
        elif field.number in (_TENSOR_RAW, _TENSOR_FLOATS) and not isinstance(field.value, int):
            numbers.append(field.value)
    if any(_has_nan(each, kind) for each in numbers):
        raise ArtefactCorrupt(f"got a graph with weights that are no numbers (NaN) in {name[:100]!r}, expected numbers")


def _has_nan(raw: memoryview, kind: int) -> bool:
    if kind == _BFLOAT16:
        usable = len(raw) // 2 * 2
        return bool(((np.frombuffer(raw[:usable], dtype="<u2") & 0x7FFF) > 0x7F80).any())  # noqa: PLR2004
    size = {_FLOAT32: 4, _FLOAT16: 2, _FLOAT64: 8}.get(kind)
    return size is not None and bool(np.isnan(np.frombuffer(raw[: len(raw) // size * size], dtype=f"<f{size}")).any())


def _check_width(graph: memoryview, width: int) -> None:
    """See that the last dimension of the only output is the width, where the graph says what it is.

    A value's type is field 2 of it, its tensor type field 1, that one's shape field 2, dimensions 1, and a number 1.
    """
    found: list[list[int | None]] = []
    for output in _fields(graph, _GRAPH_OUTPUT):
        shapes = [output.view]
        for number in (2, 1, 2):
            shapes = [field.view for each in shapes for field in _fields(each, number)]
        found.append([_number(each.view) for shape in shapes for each in _fields(shape, 1)])
    if len(found) != 1 or (found[0] and found[0][-1] not in (None, width)):
        got = "; ".join(" x ".join("?" if size is None else str(size) for size in shape) for shape in found)
        raise ArtefactCorrupt(f"got a graph with outputs of shape {got}, expected one of ? x ? x {width}")


def _number(dimension: memoryview) -> int | None:
    return next((field.value for field in _fields(dimension, 1) if isinstance(field.value, int)), None)


def _fields(message: memoryview, *wanted: int) -> Iterator[_Field]:
    """Give the fields of a message, all or those with a wanted number, each time that they come."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, start = tag & 7, at
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind == _BYTES:
            value, start = _varint(message, at)
            at = start + value
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        else:
            raise _broken(f"a field of kind {kind}")
        if at > len(message):
            raise _broken("a field that goes beyond its end")
        if not wanted or tag >> 3 in wanted:
            yield _Field(tag >> 3, value if kind == _VARINT else message[start:at])


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    result = 0
    for place, byte in enumerate(message[at : at + _VARINT_BYTES]):
        result |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more comes
            return result, at + place + 1
    raise _broken("a number without an end")


def _text(field: _Field) -> str:
    return bytes(field.view[:200]).decode("utf-8", "replace")


def _broken(what: str) -> ArtefactCorrupt:
    return ArtefactCorrupt(f"got a graph that is no ONNX ({what}), expected one")
