"""PyTorch, FP32 or BF16; on a GPU where there is one."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from models.encoder import module_from
from models.engine.backend import Floats, Ints, one_line
from models.plans import Plan
from schemas.errors import ArtefactCorrupt

_TYPES = {"torch-fp32": torch.float32, "torch-bf16": torch.bfloat16}
_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


class TorchBackend:
    """An encoder as a transformers module."""

    def __init__(self, config: bytes, weights: bytes, *, plan: Plan) -> None:
        """Build the module and read its weights.

        Raises:
            ArtefactCorrupt: Weights and configuration do not belong together.
        """
        self.plan = plan
        torch.set_num_threads(plan.threads)
        try:
            tensors = load(weights)
            _check_numbers(tensors)
            module = _module(config, tensors)
        except (SafetensorError, ValueError, KeyError) as error:
            raise ArtefactCorrupt(f"got an encoder that cannot be loaded: {one_line(error)}") from error
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._module = module.to(self._device, _TYPES[plan.backend])
        self.nbytes = sum(tensor.nbytes for tensor in self._module.state_dict().values())

    def encode(self, ids: Ints, mask: Ints) -> Floats:
        """Return hidden states, as ``Backend`` says."""
        try:
            with torch.inference_mode():
                output = self._module(input_ids=self._tensor(ids), attention_mask=self._tensor(mask))
                result: Floats = output.last_hidden_state.float().cpu().numpy()
        except RuntimeError as error:
            if any(sign in str(error) for sign in _MEMORY_SIGNS):
                raise MemoryError(f"no memory for a micro-batch of {ids.shape}") from error
            raise
        return result

    def _tensor(self, array: Ints) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device, torch.int64)


def _check_numbers(tensors: dict[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.isnan().any():
            raise ArtefactCorrupt(f"got weights that are no numbers (NaN) in {name[:100]!r}, expected numbers")


def _module(config: bytes, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Return the module with the fastest attention that its architecture has; DeBERTa has only the eager one."""
    try:
        return module_from(config, weights, attention="sdpa")
    except ValueError:
        return module_from(config, weights, attention="eager")
