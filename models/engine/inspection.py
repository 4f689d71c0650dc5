"""The files of an artefact, looked through before any library runs them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from models.encoder import max_tokens_of, read_config, width_of
from models.manifest import CONFIG, TOKENIZER, WEIGHTS, Manifest
from models.store import Store
from schemas.errors import ArtefactCorrupt

CONFIG_BYTES: Final = 1 << 20
TOKENIZER_BYTES: Final = 64 << 20
"""The largest in use, of multilingual encoders with 250,000 tokens, have 17 MB."""
HEAD_BYTES: Final = 256 << 20
_LAYERS: Final = ("num_hidden_layers", "n_layers", "num_layers")


def check_files(manifest: Manifest, *, store: Store) -> None:
    """Refuse a model of which any file is missing, damaged or another one's, even what would not be read here.

    Raises:
        ArtefactNotFound: A blob is not in the store.
        ArtefactCorrupt: A blob is not what the manifest says.
        Unavailable: The store does not answer.
    """
    missing = sorted({WEIGHTS, CONFIG, TOKENIZER} - manifest.encoder.files.keys())
    if missing:
        raise ArtefactCorrupt(f"got an encoder without {', '.join(missing)}, expected all of its files")
    for digest in sorted(manifest.blobs):
        store.check(digest)
    facts = _config(manifest, store.get(manifest.encoder.files[CONFIG], most_bytes=CONFIG_BYTES))
    if store.is_local:
        check_weights(store.path_of(manifest.encoder.files[WEIGHTS]), facts)


def _config(manifest: Manifest, config: bytes) -> Mapping[str, Any]:
    """Return an encoder's configuration, if it is what the manifest says.

    Raises:
        ArtefactCorrupt: It asks for code of its own, or is another encoder's.
    """
    facts = read_config(config)
    try:
        got = {"hiddenSize": width_of(facts), "maxTokens": max_tokens_of(facts)}
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactCorrupt(f"got a config.json without a usable {error}, expected a width and positions") from error
    said = {"hiddenSize": manifest.encoder.hidden_size, "maxTokens": manifest.encoder.max_tokens}
    if got != said:
        raise ArtefactCorrupt(f"got a config.json of an encoder with {got}, expected {said}, as the manifest says")
    return facts


def check_weights(path: Path, facts: Mapping[str, Any]) -> None:
    """Read the header of a safetensors file, and see that the configuration can belong to it. Reads no weights.

    Raises:
        ArtefactCorrupt: It is no safetensors, or not all of one, or the configuration asks for far more.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
    except (SafetensorError, ValueError, OverflowError) as error:
        raise ArtefactCorrupt(f"got weights that are no safetensors file ({error}), expected one") from error
    for name in _LAYERS:
        if isinstance(n_layers := facts.get(name), int) and n_layers > len(names):
            raise ArtefactCorrupt(
                f"got a config.json with {n_layers} layers, expected fewer than the {len(names)} tensors of its weights"
            )
