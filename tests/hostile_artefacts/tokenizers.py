"""Configurations and tokenizers that ask for code, for memory or for time."""

import json

from tests.models.artefacts import tiny_config


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
