"""What every backend does: token ids to hidden states."""

from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.plans import Plan

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

TORCH_BACKENDS: Final = ("torch-fp32", "torch-bf16")
ONNX_BACKENDS: Final = ("onnx-int8", "onnx-fp32")
OPENVINO_BACKENDS: Final = ("openvino-int8", "openvino-bf16", "openvino-fp32")
BACKENDS: Final = TORCH_BACKENDS + ONNX_BACKENDS + OPENVINO_BACKENDS
GRAPHS: Final[Mapping[str, str]] = {name: name for name in (*ONNX_BACKENDS, "openvino-int8")} | dict.fromkeys(
    ("openvino-bf16", "openvino-fp32"), "onnx-fp32"
)
"""Which graph of an artefact a backend reads; torch reads the weights themselves."""
_MESSAGE_CHARS: Final = 300


class Backend(Protocol):
    """An encoder that is ready to run. As many threads may call it at the same time as its plan has streams."""

    @property
    def plan(self) -> Plan:
        """How it runs."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that its weights take."""
        ...

    def encode(self, ids: Ints, mask: Ints) -> Floats:
        """Return the hidden states of a micro-batch; those of masked tokens mean nothing.

        Args:
            ids: Token ids with special tokens and padding. Shape: (B, T).
            mask: 1 for tokens, 0 for padding. Shape: (B, T).

        Returns:
            Shape: (B, T, H).

        Raises:
            MemoryError: The micro-batch is too big for the memory that is there.
        """
        ...


def one_line(error: BaseException) -> str:
    """Return what a library says, without its stack of C++ calls."""
    words = " ".join(line.strip() for line in str(error).splitlines() if line.strip()) or type(error).__name__
    return words if len(words) <= _MESSAGE_CHARS else words[: _MESSAGE_CHARS - 1] + "…"
