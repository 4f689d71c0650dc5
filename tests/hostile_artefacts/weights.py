"""Weights and heads that are none, that say too much of themselves, or that hold what is no number."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from schemas.names import Kind
from tests.hostile_artefacts.bench import Bench
from tests.models.artefacts import WIDTH, random_head, tiny_weights


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


def weights_with_nan() -> bytes:
    """Weights in which one is no number."""
    tensors = {name: value.copy() for name, value in load(tiny_weights()).items()}
    tensors["embeddings.word_embeddings.weight"][7, 7] = np.nan
    return save(tensors)


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
