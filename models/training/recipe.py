"""How models are trained: the figures, where they come from, and how they follow the size of the data.

``benchmarks/quality.py`` measures them again.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """A fine-tuning: AdamW, 10 % warm-up, then linear decay; no dropout in the encoder, word embeddings frozen."""

    epochs: int
    learning_rate: float
    head_learning_rate: float
    batch_tokens: int
    weight_decay: float = 0.01
    warm_up: float = 0.1
    clip: float = 1.0
    head_dropout: float = 0.1

    def facts(self) -> dict[str, Any]:
        """Return the figures under camelCase names, for the manifest."""
        return {_camel(name): value for name, value in asdict(self).items()}


_STEPS = 125
"""Steps that a small entity project needs, measured on twenty documents of 400 tokens."""
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 12
_SMALLEST_BATCH, _SMALL_BATCH, _LARGE_BATCH = 64, 512, 2048
_STEPS_AN_EPOCH = 14
_MANY_TOKENS = 60_000


def entity_recipe(n_tokens: int, *, epochs: int | None = None) -> Recipe:
    """Return the recipe for a token classifier on ``n_tokens`` of labelled text."""
    batch = _batch(n_tokens, largest=_SMALL_BATCH if n_tokens < _MANY_TOKENS else _LARGE_BATCH)
    return Recipe(
        epochs=epochs or _epochs(n_tokens, batch),
        learning_rate=3e-4,
        head_learning_rate=2e-3,
        batch_tokens=batch,
    )


def class_recipe(n_tokens: int, *, epochs: int | None = None) -> Recipe:
    """Return the recipe for a sequence classifier whose head starts at the class centroids."""
    batch = _batch(n_tokens, largest=_LARGE_BATCH)
    return Recipe(
        epochs=epochs or _epochs(n_tokens, batch),
        learning_rate=2e-4,
        head_learning_rate=2e-3,
        batch_tokens=batch,
    )


def _batch(n_tokens: int, *, largest: int) -> int:
    return min(max(n_tokens // _STEPS_AN_EPOCH, _SMALLEST_BATCH), largest)


def _epochs(n_tokens: int, batch: int) -> int:
    wanted = round(_STEPS * batch / max(n_tokens, 1))
    return min(max(wanted, _FEWEST_EPOCHS), _MOST_EPOCHS)


def probe_recipe(recipe: Recipe) -> Recipe:
    """Return the shorter recipe of a model that only has to choose decoder, temperature and backend."""
    return replace(recipe, epochs=max(_FEWEST_EPOCHS, -(-recipe.epochs // 2)))


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)
