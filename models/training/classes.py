"""Training of classification models: a regression on frozen embeddings, or a fine-tuned encoder.

The regression takes seconds and wins with few labels. ``auto`` tries the fine-tuning only where there are labels enough
for it to pay, and keeps what does better on the validation part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import fit_temperature, fit_thresholds
from models.decoding import DEFAULT_THRESHOLD, sigmoid
from models.evaluation.counts import score
from models.heads import ClassHead
from models.manifest import Decoding
from models.training.context import Context, Learnt, Parts, store_parts
from models.training.examples import Reading, class_targets, read_documents
from models.training.finetune import Task, fine_tune, freeze_embeddings
from models.training.folds import fold_numbers
from models.training.network import ClassNetwork, Unit
from models.training.recipe import Recipe, class_recipe, probe_recipe
from models.training.regression import Link, balanced, fit
from models.training.split import hold_out
from models.training.states import Floats, States
from schemas.commands import Method
from schemas.names import Kind

VALIDATION_SHARE = 0.15
_LARGE_VALIDATION = 100
_MAX_TOKENS, _OVERLAP = 256, 32
_FEW_LABELS = 100
"""Fewer labels a class than this, and frozen embeddings do as well as a fine-tuning."""
_LONGEST_AUTO_S = 300.0
_TOKENS_PER_S = 2000
_TRAINED_SEGMENTS = 4
_CENTROID_SCALE = 8.0
_STRENGTHS = (1.0, 10.0)
_N_FOLDS = 5

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Data:
    """Training documents, their classes, and which of them validate."""

    readings: Sequence[Reading]
    targets: Flags
    validates: Flags
    pooled: Floats
    link: Link


@dataclass(frozen=True)
class _Choice:
    """What held-out documents decided."""

    temperature: float
    thresholds: Mapping[str, float]
    score: float


def train_classes(context: Context) -> Learnt:
    """Train a classification model."""
    context.progress.enter("training")
    data = _read(context)
    method = context.settings.method
    if method is Method.FINE_TUNE:
        return _fine_tune(context, data)
    frozen = _train_frozen(context, data)
    if method is Method.FROZEN or not _may_pay(context, data):
        return frozen
    tuned = _fine_tune(context, data)
    return max(frozen, tuned, key=lambda each: each.hyperparameters["validationScore"])


def _read(context: Context) -> _Data:
    readings = read_documents(context.train, context.tokenizer, decoding=_decoding(context))
    n_tokens = sum(len(reading.tokens) for reading in readings)
    context.progress.expected_s["training"] = 2 + n_tokens / (3 * _TOKENS_PER_S)
    _, held = hold_out(context.train, share=VALIDATION_SHARE, seed=context.seed)
    names = {document.id for document in held}
    states = States(context.load_encoder(), context.tokenizer, max_tokens=context.encoder.max_tokens)
    return _Data(
        readings,
        class_targets(context.train, context.job.categories),
        np.array([document.id in names for document in context.train]),
        states.pooled(readings, report=lambda done: context.progress.report(done * 0.9)),
        "softmax" if context.job.kind is Kind.SINGLE_LABEL else "sigmoid",
    )


def _decoding(context: Context) -> Decoding:
    return Decoding(max_tokens=min(_MAX_TOKENS, context.encoder.max_tokens), overlap=_OVERLAP)


def _train_frozen(context: Context, data: _Data) -> Learnt:
    weights = balanced(data.targets) if data.link == "softmax" else None
    regress = partial(fit, link=data.link, label_weights=weights)
    folds = fold_numbers(data.targets, n_folds=_N_FOLDS, seed=context.seed)
    unseen = {strength: _unseen_logits(data, folds, strength, weights) for strength in _STRENGTHS}
    strength = max(_STRENGTHS, key=lambda each: _choose(context, unseen[each], data.targets, data.link).score)
    choice = _choose(context, unseen[strength], data.targets, data.link)
    seen = ~data.validates
    probe = regress(data.pooled[seen], data.targets[seen], strength=strength)
    final = regress(data.pooled, data.targets, strength=strength)
    held = _choose(context, probe.logits(data.pooled[data.validates]), data.targets[data.validates], data.link)
    encoder = context.load_encoder()
    return _learnt(
        context,
        data,
        probe=store_parts(context, encoder, ClassHead(probe.weight, probe.bias)),
        final=store_parts(context, encoder, ClassHead(final.weight, final.bias)),
        choice=choice,
        facts={"method": "frozen", "strength": strength, "validationScore": round(held.score, 4)},
    )


def _unseen_logits(data: _Data, folds: NDArray[np.int64], strength: float, weights: Floats | None) -> Floats:
    """Return each document's logits by a regression that has not seen it."""
    logits = np.zeros(data.targets.shape, dtype=np.float32)
    for fold in np.unique(folds):
        held = folds == fold
        fitted = fit(data.pooled[~held], data.targets[~held], link=data.link, strength=strength, label_weights=weights)
        logits[held] = fitted.logits(data.pooled[held])
    return logits


def _choose(context: Context, logits: Floats, targets: Flags, link: Link) -> _Choice:
    if link == "softmax":
        wanted = targets.argmax(axis=1)
        temperature = fit_temperature(logits, wanted)
        return _Choice(temperature, {}, float((logits.argmax(axis=1) == wanted).mean()))
    temperature = fit_temperature(logits, targets, link="sigmoid")
    chances = sigmoid(logits / np.float32(temperature))
    thresholds = fit_thresholds(chances, targets, default=DEFAULT_THRESHOLD)
    found = chances >= np.array(thresholds)
    counts = np.stack([(found & targets).sum(0), (found & ~targets).sum(0), (~found & targets).sum(0)], axis=1)
    names = dict(zip(context.job.categories, thresholds, strict=True))
    return _Choice(temperature, names, float(score(counts).micro[2]))


def _may_pay(context: Context, data: _Data) -> bool:
    n_tokens = sum(unit.n_tokens for unit in _units(data, ~data.validates))
    seconds = n_tokens * class_recipe(n_tokens, epochs=context.settings.epochs).epochs / _TOKENS_PER_S
    return float(np.median(data.targets.sum(axis=0))) >= _FEW_LABELS and seconds <= _LONGEST_AUTO_S


def _fine_tune(context: Context, data: _Data) -> Learnt:
    n_seen = sum(unit.n_tokens for unit in _units(data, ~data.validates))
    recipe = class_recipe(n_seen, epochs=context.settings.epochs)
    refits = int(data.validates.sum()) < _LARGE_VALIDATION
    n_all = sum(unit.n_tokens for unit in _units(data, np.ones(len(data.readings), dtype=np.bool_)))
    first = probe_recipe(recipe) if refits else recipe
    n_probe, n_final = n_seen * first.epochs, n_all * recipe.epochs if refits else 0
    context.progress.expected_s["training"] = (n_probe + n_final) / _TOKENS_PER_S
    context.progress.enter("training")
    share = n_probe / (n_probe + n_final)
    probe, choice = _probe(context, data, recipe=first, share=share)
    final = _refit(context, data, probe=probe, choice=choice, recipe=recipe, share=share) if refits else probe
    facts = {"method": "fineTune", **recipe.facts(), "validationScore": round(choice.score, 4)}
    return _learnt(context, data, probe=probe, final=final, choice=choice, facts=facts)


def _probe(context: Context, data: _Data, *, recipe: Recipe, share: float) -> tuple[Parts, _Choice]:
    if later := context.journal.of("refit"):
        return Parts(**later.facts["probe"]), _Choice(**later.facts["choice"])
    seen = ~data.validates
    network = _network(context, data, recipe, head=_centroids(data.pooled[seen], data.targets[seen]))
    held = [reading for reading, each in zip(data.readings, data.validates, strict=True) if each]
    states = States(network.encoder, context.tokenizer, max_tokens=context.encoder.max_tokens)

    def measure() -> _Choice:
        logits = network.numpy_head().logits(states.pooled(held))
        return _choose(context, logits, data.targets[data.validates], data.link)

    def report(done: float, figures: dict[str, float]) -> None:
        context.progress.report(done * share, **figures)

    task = Task("fit", _units(data, seen), recipe, context.seed, score=lambda: measure().score, report=report)
    fine_tune(network, task, journal=context.journal)
    return store_parts(context, network.encoder, network.numpy_head()), measure()


def _refit(context: Context, data: _Data, *, probe: Parts, choice: _Choice, recipe: Recipe, share: float) -> Parts:
    network = _network(context, data, recipe, head=_centroids(data.pooled, data.targets))

    def report(done: float, figures: dict[str, float]) -> None:
        context.progress.report(share + done * (1 - share), **figures)

    facts = {"probe": asdict(probe), "choice": asdict(choice)}
    units = _units(data, np.ones(len(data.readings), dtype=np.bool_))
    task = Task("refit", units, recipe, context.seed, report=report, facts=facts)
    fine_tune(network, task, journal=context.journal)
    return store_parts(context, network.encoder, network.numpy_head())


def _centroids(pooled: Floats, targets: Flags) -> ClassHead:
    """Return a head that scores by likeness to the mean of each class, so that fine-tuning starts from somewhere.

    An average document gets the logit of each class's share, which independent classes need.
    """
    centre = pooled.mean(axis=0)
    length = float(np.linalg.norm(pooled, axis=1).mean())
    means = targets.T.astype(np.float32) @ pooled / np.maximum(targets.sum(axis=0), 1)[:, None]
    unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    weight = (_CENTROID_SCALE / length * unit).astype(np.float32)
    share = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
    bias = np.log(share / (1 - share)) - weight @ centre
    return ClassHead(weight, bias.astype(np.float32))


def _network(context: Context, data: _Data, recipe: Recipe, *, head: ClassHead) -> ClassNetwork:
    import torch

    torch.manual_seed(context.seed)
    network = ClassNetwork(
        context.load_encoder(),
        context.tokenizer,
        head=head,
        max_tokens=context.encoder.max_tokens,
        dropout=recipe.head_dropout,
        link=data.link,
        label_weights=balanced(data.targets) if data.link == "softmax" else None,
    )
    freeze_embeddings(network.encoder)
    return network


def _units(data: _Data, chosen: Flags) -> list[Unit]:
    return [
        Unit(reading, reading.segments[:_TRAINED_SEGMENTS], targets)
        for reading, targets, each in zip(data.readings, data.targets, chosen, strict=True)
        if each and reading.segments
    ]


def _learnt(
    context: Context, data: _Data, *, probe: Parts, final: Parts, choice: _Choice, facts: dict[str, Any]
) -> Learnt:
    return Learnt(
        probe=probe,
        final=final,
        validation=tuple(each for each, held in zip(context.train, data.validates, strict=True) if held),
        decoding=_decoding(context),
        temperature=choice.temperature,
        thresholds=choice.thresholds,
        hyperparameters=facts,
    )
