"""Training of entity models: word labels, by fine-tuning or on a frozen encoder.

The validation part chooses decoder and temperature, with a model that has not seen it. Unless it is large, the model
that is kept is then trained on all training documents: with a handful of them each one counts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from models.calibration import fit_temperature
from models.decoding import decode_entities
from models.evaluation.counts import count_entities, score
from models.heads import EntityHead, entity_labels
from models.manifest import Decoding
from models.training.answers import entity_document
from models.training.context import Context, Learnt, Parts, store_parts
from models.training.examples import IGNORED, Labels, Reading, read_documents, touching, word_labels
from models.training.finetune import Task, fine_tune, freeze_embeddings
from models.training.network import EntityNetwork, Unit
from models.training.recipe import Recipe, entity_recipe, probe_recipe
from models.training.regression import fit
from models.training.split import hold_out
from models.training.states import Floats, States
from schemas.commands import Method

VALIDATION_SHARE = 0.15
_LARGE_VALIDATION = 40
"""From so many validation documents on, the best epoch is chosen by them and they stay out of the model."""
_MAX_TOKENS, _OVERLAP = 512, 64
_TOKENS_PER_S = 2000
_FROZEN_WORDS = 200_000
_STRENGTH = 1.0

Decoder = Literal["type", "viterbi"]


@dataclass(frozen=True)
class _Data:
    """Training documents with their labels, and which of them validate."""

    readings: Sequence[Reading]
    labels: Sequence[Labels]
    validates: Sequence[bool]

    def part(self, *, validates: bool) -> tuple[list[Reading], list[Labels]]:
        chosen = [at for at, each in enumerate(self.validates) if each is validates]
        return [self.readings[at] for at in chosen], [self.labels[at] for at in chosen]

    @property
    def is_large(self) -> bool:
        return sum(self.validates) >= _LARGE_VALIDATION


@dataclass(frozen=True)
class _Choice:
    """What the validation part decided."""

    decoder: Decoder
    temperature: float
    score: float


def train_entities(context: Context) -> Learnt:
    """Train an entity model."""
    data = _read(context)
    if context.settings.method is Method.FROZEN:
        return _train_frozen(context, data)
    return _fine_tune(context, data)


def entity_decoding(context: Context, decoder: Decoder = "type") -> Decoding:
    """Return how documents are cut, and decoded."""
    return Decoding(max_tokens=min(_MAX_TOKENS, context.encoder.max_tokens), overlap=_OVERLAP, decoder=decoder)


def _read(context: Context) -> _Data:
    readings = read_documents(context.train, context.tokenizer, decoding=entity_decoding(context))
    _, held = hold_out(context.train, share=VALIDATION_SHARE, seed=context.seed)
    names = {document.id for document in held}
    labels = [word_labels(reading, context.job.categories) for reading in readings]
    return _Data(readings, labels, [reading.document.id in names for reading in readings])


def _fine_tune(context: Context, data: _Data) -> Learnt:
    units = _units(data.readings, data.labels)
    seen = _units(*data.part(validates=False))
    recipe = entity_recipe(_n_tokens(seen if data.is_large else units), epochs=context.settings.epochs)
    first = recipe if data.is_large else probe_recipe(recipe)
    n_probe = _n_tokens(seen) * first.epochs
    n_final = 0 if data.is_large else _n_tokens(units) * recipe.epochs
    context.progress.expected_s["training"] = (n_probe + n_final) / _TOKENS_PER_S
    context.progress.enter("training")
    share = n_probe / (n_probe + n_final)
    probe, choice = _probe(context, data, seen, recipe=first, share=share)
    final = probe
    if not data.is_large:
        final = _refit(context, units, probe=probe, choice=choice, recipe=recipe, share=share)
    return _learnt(
        context, data, probe=probe, final=final, choice=choice, facts={"method": "fineTune", **recipe.facts()}
    )


def _n_tokens(units: Sequence[Unit]) -> int:
    return sum(unit.n_tokens for unit in units)


def _probe(
    context: Context, data: _Data, units: Sequence[Unit], *, recipe: Recipe, share: float
) -> tuple[Parts, _Choice]:
    """Train on what does not validate, or take it from the checkpoint of a later phase."""
    if later := context.journal.of("refit"):
        return Parts(**later.facts["probe"]), _Choice(**later.facts["choice"])
    network = _network(context, recipe)
    readings, labels = data.part(validates=True)

    def validate() -> float:
        return _score(context, network, readings)

    def report(done: float, figures: dict[str, float]) -> None:
        context.progress.report(done * share, **figures)

    task = Task("fit", units, recipe, context.seed, score=validate if data.is_large else None, report=report)
    fine_tune(network, task, journal=context.journal)
    choice = _choose(context, data, readings, _logits(context, network, readings), labels)
    return store_parts(context, network.encoder, network.numpy_head()), choice


def _refit(
    context: Context, units: Sequence[Unit], *, probe: Parts, choice: _Choice, recipe: Recipe, share: float
) -> Parts:
    """Train once more, on all training documents."""
    network = _network(context, recipe)

    def report(done: float, figures: dict[str, float]) -> None:
        context.progress.report(share + done * (1 - share), **figures)

    facts = {"probe": asdict(probe), "choice": asdict(choice)}
    task = Task("refit", units, recipe, context.seed, report=report, facts=facts)
    fine_tune(network, task, journal=context.journal)
    return store_parts(context, network.encoder, network.numpy_head())


def _network(context: Context, recipe: Recipe) -> EntityNetwork:
    import torch

    torch.manual_seed(context.seed)
    network = EntityNetwork(
        context.load_encoder(),
        context.tokenizer,
        n_labels=len(entity_labels(context.job.categories)),
        width=context.encoder.hidden_size,
        max_tokens=context.encoder.max_tokens,
        dropout=recipe.head_dropout,
    )
    freeze_embeddings(network.encoder)
    return network


def _units(readings: Sequence[Reading], labels: Sequence[Labels]) -> list[Unit]:
    return [
        Unit(reading, (segment,), of_words)
        for reading, of_words in zip(readings, labels, strict=True)
        for segment in reading.segments
        if (of_words[reading.words_of(segment.start, segment.end)] != IGNORED).any()
    ]


def _choose(
    context: Context, data: _Data, readings: Sequence[Reading], logits: Sequence[Floats], labels: Sequence[Labels]
) -> _Choice:
    temperature = _temperature(logits, labels)
    decoders: tuple[Decoder, ...] = get_args(Decoder)
    if any(touching(each) for each in data.labels):
        decoders = ("viterbi",)
    scores = {decoder: _f1(context, readings, logits, decoder) for decoder in decoders}
    best = max(decoders, key=lambda decoder: scores[decoder])
    return _Choice(best, temperature, scores[best])


def _score(context: Context, network: EntityNetwork, readings: Sequence[Reading]) -> float:
    return _f1(context, readings, _logits(context, network, readings), "type")


def _logits(context: Context, network: EntityNetwork, readings: Sequence[Reading]) -> list[Floats]:
    head = network.numpy_head()
    states = States(network.encoder, context.tokenizer, max_tokens=context.encoder.max_tokens).words(readings)
    return [head.logits(each, reading.features) for each, reading in zip(states, readings, strict=True)]


def _temperature(logits: Sequence[Floats], labels: Sequence[Labels]) -> float:
    rows, targets = np.concatenate(logits), np.concatenate(labels)
    return fit_temperature(rows[targets != IGNORED], targets[targets != IGNORED])


def _f1(context: Context, readings: Sequence[Reading], logits: Sequence[Floats], decoder: Decoder) -> float:
    documents = [
        entity_document(
            reading.document,
            decode_entities(
                each,
                reading.tokens.words,
                reading.document.text,
                categories=context.job.categories,
                decoder=decoder,
            ),
        )
        for reading, each in zip(readings, logits, strict=True)
    ]
    return float(score(count_entities(documents, context.job.categories).sum(axis=0)).micro[2])


def _train_frozen(context: Context, data: _Data) -> Learnt:
    context.progress.enter("training")
    encoder = context.load_encoder()
    states = States(encoder, context.tokenizer, max_tokens=context.encoder.max_tokens)
    hidden = states.words(data.readings, report=lambda done: context.progress.report(done * 0.8))
    inputs = [np.hstack([each, reading.features]) for each, reading in zip(hidden, data.readings, strict=True)]
    probe = _fit_head(context, data, inputs, validates=(False,))
    held = [at for at, each in enumerate(data.validates) if each]
    logits = [_apply(probe, inputs[at]) for at in held]
    labels = [data.labels[at] for at in held]
    choice = _choose(context, data, [data.readings[at] for at in held], logits, labels)
    final = _fit_head(context, data, inputs, validates=(False, True))
    return _learnt(
        context,
        data,
        probe=store_parts(context, encoder, probe),
        final=store_parts(context, encoder, final),
        choice=choice,
        facts={"method": "frozen", "strength": _STRENGTH},
    )


def _apply(head: EntityHead, inputs: Floats) -> Floats:
    result: Floats = inputs @ head.weight.T + head.bias
    return result


def _fit_head(context: Context, data: _Data, inputs: Sequence[Floats], *, validates: tuple[bool, ...]) -> EntityHead:
    chosen = [at for at, each in enumerate(data.validates) if each in validates]
    rows, labels = np.concatenate([inputs[at] for at in chosen]), np.concatenate([data.labels[at] for at in chosen])
    rows, labels = rows[labels != IGNORED][:_FROZEN_WORDS], labels[labels != IGNORED][:_FROZEN_WORDS]
    targets = labels[:, None] == np.arange(len(entity_labels(context.job.categories)))
    fitted = fit(rows, targets, link="softmax", strength=_STRENGTH)
    return EntityHead(fitted.weight, fitted.bias)


def _learnt(
    context: Context, data: _Data, *, probe: Parts, final: Parts, choice: _Choice, facts: dict[str, Any]
) -> Learnt:
    return Learnt(
        probe=probe,
        final=final,
        validation=tuple(reading.document for reading in data.part(validates=True)[0]),
        decoding=entity_decoding(context, choice.decoder),
        temperature=choice.temperature,
        hyperparameters={**facts, "validationScore": round(choice.score, 4)},
    )
