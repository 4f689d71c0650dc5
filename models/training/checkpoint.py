"""Where a training stands, as bytes: tensors as safetensors, everything else as JSON in its header. No pickle."""

import json
import logging
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from models.store import Store
from models.training.progress import Progress
from schemas.errors import NoSpace

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0
_KEY = "lexstream"


@dataclass(frozen=True)
class Checkpoint:
    """The state of one phase of a job.

    Attributes:
        phase: Which fine-tuning of the job.
        facts: JSON: the place in the schedule, and what earlier phases decided.
        tensors: Weights that train, the optimiser's moments, and torch's random state.
    """

    phase: str
    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """Return the stored form."""
    header = json.dumps({"phase": checkpoint.phase, "facts": dict(checkpoint.facts)})
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in checkpoint.tensors.items()}
    return save(tensors, metadata={_KEY: header})


def from_bytes(data: bytes) -> Checkpoint | None:
    """Return the checkpoint, or nothing if this version cannot read it: the job then starts again."""
    try:
        tensors = load(data)
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        return Checkpoint(header["phase"], header["facts"], tensors)
    except (SafetensorError, ValueError, KeyError, struct.error):
        return None


class Journal:
    """A job's checkpoints: what was found at the start, and when the next one is due.

    ``made_of`` stands for all that the training's course depends on. Labels may change while a job is taken over: a
    checkpoint that was made of something else is not gone on from.
    """

    def __init__(
        self, store: Store, job_id: str, *, made_of: str, progress: Progress, interval_s: float = INTERVAL_S
    ) -> None:
        self._store, self._job_id, self._made_of = store, job_id, made_of
        self._progress = progress
        self._interval_s = interval_s
        data = store.latest_checkpoint(job_id)
        latest = from_bytes(data) if data else None
        self._number = int(latest.facts["number"]) if latest else 0  # of any: the highest number counts as the latest
        self.found = latest if latest and latest.facts.get("madeOf") == made_of else None
        if self.found:
            progress.resume(float(self.found.facts["elapsedS"]))
        elif latest:
            extra = {"action": "checkpoint", "job_id": job_id}
            logger.warning("job %s starts again: its checkpoint was made of something else", job_id, extra=extra)
        self._last_s = progress.elapsed_s

    def of(self, phase: str) -> Checkpoint | None:
        """Return the checkpoint that was found, if it is of this phase."""
        return self.found if self.found and self.found.phase == phase else None

    @property
    def due(self) -> bool:
        """Whether enough time has passed to write the next one."""
        return self._progress.elapsed_s - self._last_s >= self._interval_s

    def write(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint; it replaces those before it."""
        self._number += 1
        facts = {
            **checkpoint.facts,
            "madeOf": self._made_of,
            "number": self._number,
            "elapsedS": self._progress.elapsed_s,
        }
        data = to_bytes(Checkpoint(checkpoint.phase, facts, checkpoint.tensors))
        try:
            self._store.save_checkpoint(self._job_id, data, step=self._number)
        except NoSpace as error:  # the model itself may still find room
            logger.warning("goes on without a checkpoint: %s", error, extra={"action": "checkpoint"})
        self._last_s = self._progress.elapsed_s

    def close(self) -> None:
        """Delete the job's checkpoints: it succeeded."""
        self._store.delete_checkpoints(self._job_id)
