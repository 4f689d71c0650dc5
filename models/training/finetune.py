"""Fine-tuning: the loop over epochs and batches, with checkpoints from which it goes on as if nothing had happened."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.engine.microbatch import pack
from models.training.checkpoint import Checkpoint, Journal
from models.training.network import Network, Unit
from models.training.recipe import Recipe
from schemas.errors import TrainingError

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_CHUNK = 16

Score = Callable[[], float]
Report = Callable[[float, dict[str, float]], None]


@dataclass(frozen=True)
class Task:
    """One fine-tuning of a job.

    Attributes:
        phase: Its name in checkpoints.
        units: What is learnt from.
        recipe: How.
        seed: Of the order of batches and of dropout.
        score: Measures the network on the validation part after each epoch; the best epoch's weights are
            kept. Without it the last epoch's are.
        report: Told the share that is done, and figures.
        facts: JSON that goes into each checkpoint: what earlier phases decided.
    """

    phase: str
    units: Sequence[Unit]
    recipe: Recipe
    seed: int
    score: Score | None = None
    report: Report = lambda _done, _figures: None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Place:
    """Where the loop stands."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: float = 0.0
    best: float = -1.0
    best_epoch: int = 0


def freeze_embeddings(encoder: nn.Module) -> None:
    """Keep the embeddings as they are: training them costs time and gains nothing."""
    embeddings = getattr(encoder, "embeddings", None) or encoder.get_input_embeddings()  # type: ignore[operator]
    for parameter in embeddings.parameters():
        parameter.requires_grad_(False)


def fine_tune(network: Network, task: Task, *, journal: Journal) -> dict[str, float]:
    """Train ``network`` in place and return what is known of the run.

    Raises:
        TrainingError: The loss is no finite number any more.
    """
    loop = _Loop(network, task)
    if found := journal.of(task.phase):
        loop.restore(found)
    else:
        torch.manual_seed(task.seed)
    while loop.place.epoch < task.recipe.epochs:
        loop.run_epoch(journal)
    loop.finish()
    return {"epochs": loop.place.best_epoch or loop.place.epoch, "steps": loop.place.step, "loss": loop.place.loss}


class _Loop:
    def __init__(self, network: Network, task: Task) -> None:
        self.network, self.task = network, task
        self.place = _Place()
        self._weights = {name: each for name, each in network.named_parameters() if each.requires_grad}
        head = [each for name, each in self._weights.items() if name.startswith("head.")]
        body = [each for name, each in self._weights.items() if not name.startswith("head.")]
        recipe = task.recipe
        groups = [
            {"params": body, "lr": recipe.learning_rate},
            {"params": head, "lr": recipe.head_learning_rate},
        ]
        self._optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)
        self._n_batches = len(self._batches(0))
        n_steps = self._n_batches * recipe.epochs
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: _rate(step, n_steps=n_steps, warm_up=recipe.warm_up)
        )
        self._best: dict[str, Tensor] = {}

    def run_epoch(self, journal: Journal) -> None:
        """Go through the rest of the epoch, then measure."""
        self.network.train()
        self.network.encoder.eval()  # no dropout: it costs half of the time on a CPU, and gains nothing
        batches = self._batches(self.place.epoch)
        for batch in batches[self.place.batch :]:
            self._step(batch)
            if journal.due:
                journal.write(self._checkpoint())
        self.place.epoch += 1
        self.place.batch = 0
        if self.task.score is not None:
            self._measure(self.task.score)

    def finish(self) -> None:
        """Take the weights of the best epoch."""
        with torch.no_grad():
            for name, tensor in self._best.items():
                self._weights[name].copy_(tensor)
        self.network.eval()

    def _step(self, batch: Sequence[Unit]) -> None:
        loss = self.network.loss(batch)
        if not torch.isfinite(loss):
            raise TrainingError(f"got a loss of {loss.item()} in step {self.place.step}, expected a finite number")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights.values(), self.task.recipe.clip)
        self._optimiser.step()
        self._schedule.step()
        place = self.place
        place.step, place.batch = place.step + 1, place.batch + 1
        place.loss = loss.item() if place.step == 1 else 0.9 * place.loss + 0.1 * loss.item()
        done = place.step / (self._n_batches * self.task.recipe.epochs)
        self.task.report(done, {"epoch": place.epoch + 1, "loss": place.loss})

    def _measure(self, score: Score) -> None:
        self.network.eval()
        value = score()
        if value >= self.place.best:
            self.place.best, self.place.best_epoch = value, self.place.epoch
            self._best = {name: tensor.detach().clone() for name, tensor in self._weights.items()}
        done = self.place.step / (self._n_batches * self.task.recipe.epochs)
        self.task.report(done, {"epoch": self.place.epoch, "loss": self.place.loss, "score": value})

    def _batches(self, epoch: int) -> list[list[Unit]]:
        """Return the epoch's batches: units of like length together, in an order that depends on seed and epoch."""
        dice = random.Random(f"{self.task.seed} {epoch}")  # noqa: S311  (nothing secret is drawn)
        units = list(self.task.units)
        dice.shuffle(units)
        chunk = _CHUNK * max(self.task.recipe.batch_tokens // 256, 1)
        batches = []
        for start in range(0, len(units), chunk):
            part = units[start : start + chunk]
            packed = pack([each.n_tokens for each in part], max_padded_tokens=self.task.recipe.batch_tokens)
            batches += [[part[at] for at in batch] for batch in packed]
        dice.shuffle(batches)
        return batches

    def _checkpoint(self) -> Checkpoint:
        states = self._optimiser.state
        moments = {
            f"{moment}.{name}": states[weight][moment] for name, weight in self._weights.items() for moment in _MOMENTS
        }
        return Checkpoint(
            self.task.phase,
            {**self.task.facts, "place": vars(self.place), "schedule": self._schedule.last_epoch},
            {
                **{f"weight.{name}": weight for name, weight in self._weights.items()},
                **{f"best.{name}": weight for name, weight in self._best.items()},
                **moments,
                "random": torch.get_rng_state(),
            },
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where ``checkpoint`` was written."""
        self.place = _Place(**checkpoint.facts["place"])
        tensors = checkpoint.tensors
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(tensors[f"weight.{name}"])
                self._optimiser.state[weight] = {moment: tensors[f"{moment}.{name}"] for moment in _MOMENTS}
        self._best = {name.removeprefix("best."): each for name, each in tensors.items() if name.startswith("best.")}
        self._schedule.last_epoch = int(checkpoint.facts["schedule"])
        for group, base in zip(self._optimiser.param_groups, self._schedule.base_lrs, strict=True):
            n_steps = self._n_batches * self.task.recipe.epochs
            group["lr"] = base * _rate(self._schedule.last_epoch, n_steps=n_steps, warm_up=self.task.recipe.warm_up)
        torch.set_rng_state(tensors["random"])


def _rate(step: int, *, n_steps: int, warm_up: float) -> float:
    rising = (step + 1) / max(warm_up * n_steps, 1)
    falling = (n_steps - step) / max((1 - warm_up) * n_steps, 1)
    return min(rising, max(falling, 0.0), 1.0)
