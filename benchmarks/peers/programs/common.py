"""What the programs share: how they are told what to do, the pipeline, and the answer to a document.

Runs in the peers' environments: imports nothing of Lexstream.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

BATCH_SIZE = 32
_PREFIX = "PEER_"


@dataclass(frozen=True)
class Setup:
    """Where a program reads, answers and keeps its state; travels in the environment.

    Attributes:
        brokers: Bootstrap addresses.
        input: Topic of the documents, JSON with ``id`` and ``text``.
        output: Topic of the answers.
        group: Consumer group.
        model: Folder of the model as transformers saves it.
        state: Folder for what the peer keeps on disk.
    """

    brokers: str
    input: str
    output: str
    group: str
    model: str
    state: str

    def environment(self) -> dict[str, str]:
        """Return the variables that ``from_environment`` reads."""
        return {_PREFIX + name.upper(): value for name, value in asdict(self).items()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what this program was started with."""
        return cls(**{name: environment[_PREFIX + name.upper()] for name in cls.__annotations__})


def load_pipeline(folder: str) -> Any:
    """Return transformers' own pipeline for entities, in FP32 on all cores."""
    import torch
    import transformers

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return transformers.pipeline("token-classification", model=folder, aggregation_strategy="first", device="cpu")


def answer(document: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a program sends for a document."""
    return {"id": document["id"], "entities": [_entity(each) for each in found]}


def _entity(found: Mapping[str, Any]) -> dict[str, Any]:
    start, end = int(found["start"]), int(found["end"])
    return {"category": found["entity_group"], "offset": start, "length": end - start, "score": float(found["score"])}
