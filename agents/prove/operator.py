"""Somebody who swaps models and has others trained, and hands in every command two or three times."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

import orjson

from agents.prove.clients import producer_options
from agents.prove.commands import DEPLOY, TRAIN, CommandBook, Handed
from agents.prove.events import DEPLOYMENT, PROJECT
from agents.registry import encode_record
from agents.settings import Settings
from models.store import Store
from schemas.base import now
from schemas.names import Kind
from schemas.records import ModelRecord, ModelReference, record_key

TRAINED: Final = "prove-training"
"""The project in which models are trained; none of them is deployed."""
N_MODELS: Final = 64
SWAP_EVERY_S: Final = 4.0
TRAIN_EVERY_S: Final = 6.0
AGAIN_S: Final = (1.0, 6.0)
"""When a command is handed in for the third time, from and to: mostly when it has long been done."""
_DELIVERED_S: Final = 30.0
_IDS: Final = UUID("5f0c1f0e-7a3e-4c1b-9d55-6b1f6f0a7d10")
_N_LABELLED: Final = 12


def echo_models() -> list[ModelReference]:
    """Return the models that an echo can be: so many that none comes twice within minutes."""
    return [ModelReference(label=f"v{number}", digest=f"sha256:{number:064x}") for number in range(1, N_MODELS + 1)]


class Operator:
    """Hands in commands. Belongs to one thread.

    Attributes:
        n_deploys: How many times a model was deployed.
        last_s: When a command was handed in last.
    """

    def __init__(
        self,
        settings: Settings,
        book: CommandBook,
        *,
        seed: int,
        models: Sequence[ModelReference],
        kind: str,
    ) -> None:
        """Make an operator.

        Args:
            settings: How Kafka is reached; the store is the run's own.
            book: Told of every command.
            seed: Of the commands' ids and of when they are handed in again.
            models: What is deployed, one after another.
            kind: Of the project that they are deployed in.
        """
        from confluent_kafka import Producer

        self._settings = settings
        self._book = book
        self._seed = seed
        self._random = Random(f"operator {seed}")  # noqa: S311 - no secret
        self._labels = [model.label for model in models]
        self._models = models
        self._kind = Kind(kind)
        self._producer: Any = Producer(producer_options(settings))
        self._again: list[tuple[float, str, bytes]] = []
        self._training: str | None = None
        self._n_trainings = 0
        self._next_swap_s = self._next_training_s = 0.0
        self._project = ""
        self._first: str | None = None
        self._last: str | None = None
        self.n_deploys = 0
        self.last_s = 0.0

    def start(self, *, trains: bool = True) -> None:
        """Have the projects made, and labels brought. The first deployment follows when that is done."""
        self._next_training_s = 0.0 if trains else float("inf")
        self._project = self._hand_in("createProject", {"kind": self._kind, "language": "en"})
        if trains:
            self._hand_in("createProject", {"kind": Kind.ENTITIES, "language": "en"}, project=TRAINED)
            bundle = Store(self._settings.store_url).put(_bundle(self._seed))
            self._hand_in("importLabels", {"bundle": bundle}, project=TRAINED)
        self._producer.flush(_DELIVERED_S)

    def deployed(self) -> bool:
        """Whether the first model is deployed; deploys it once the project is there."""
        if self._first is None and self._book.accepted(self._project):
            self._write_models()
            self._first = self._deploy()
        return self._first is not None and self._book.accepted(self._first)

    def look_after(self, now_s: float, *, swaps: bool) -> None:
        """Hand in what is due; without ``swaps`` only what was handed in before.

        Args:
            now_s: The time of the run.
            swaps: Whether models are still swapped and trained.
        """
        for each in [each for each in self._again if each[0] <= now_s]:
            self._again.remove(each)
            self._book.n_messages += 1
            self._send(self._settings.topics.control, each[1], each[2])
        self._producer.poll(0)
        if not swaps:
            return
        if now_s >= self._next_swap_s:
            self._next_swap_s = now_s + SWAP_EVERY_S
            self._deploy(now_s)
        if now_s >= self._next_training_s and (self._training is None or self._book.ended(self._training)):
            self._next_training_s = now_s + TRAIN_EVERY_S
            self._train(now_s)

    def settled(self, now_s: float) -> bool:
        """Whether all that was handed in is decided, every training has ended, and the last deployment is served.

        The last command is handed in behind all others, to a topic of one partition: when it is decided, the controller
        has seen every repetition. It is a deployment that nothing overtakes, so a worker has to serve it.
        """
        if self._again or (self._training is not None and not self._book.ended(self._training)):
            return False
        if self._last is None:
            self._last = self._deploy(now_s, times=1)
        return self._book.served(self._last)

    def close(self) -> None:
        """Send what waits, if Kafka takes it soon."""
        self._producer.flush(1)

    def _write_models(self) -> None:
        """Write the records of models that come from elsewhere; a project that is made has none."""
        at = now()
        for model in self._models:
            record = ModelRecord(
                project=PROJECT,
                label=model.label,
                digest=model.digest,
                kind=self._kind,
                job_id="none",
                trained_at=at,
                duration_s=0.0,
                evaluation=f"sha256:{0:064x}",
            )
            self._send(self._settings.topics.registry, record_key(record), encode_record(record))
        self._producer.flush(_DELIVERED_S)

    def _deploy(self, now_s: float = 0.0, *, times: int = 3) -> str:
        label = self._labels[self.n_deploys % len(self._labels)]
        self.n_deploys += 1
        return self._hand_in(DEPLOY, {"modelLabel": label, "deployment": DEPLOYMENT}, now_s=now_s, times=times)

    def _train(self, now_s: float) -> None:
        self._n_trainings += 1
        label = f"trained-{self._n_trainings}"
        model = f"{TRAINED}/{label}"
        self._training = self._hand_in(TRAIN, {"modelLabel": label}, project=TRAINED, model=model, now_s=now_s)

    def _hand_in(
        self,
        command: str,
        parameters: dict[str, Any],
        *,
        project: str = PROJECT,
        model: str = "",
        now_s: float = 0.0,
        times: int = 3,
    ) -> str:
        self.last_s = now_s
        command_id = str(uuid5(_IDS, f"{self._seed}/{len(self._book.handed)}"))
        self._book.handed[command_id] = Handed(command, model)
        content = {"id": command_id, "command": command, "project": project, "parameters": parameters}
        message = orjson.dumps(content | {"at": now().isoformat()})
        for _ in range(min(times, 2)):
            self._book.n_messages += 1
            self._send(self._settings.topics.control, project, message)
        if times > 2:  # noqa: PLR2004 - the third comes later
            self._again.append((now_s + self._random.uniform(*AGAIN_S), project, message))
        return command_id

    def _send(self, topic: str, key: str, value: bytes) -> None:
        self._producer.produce(topic, key=key.encode(), value=value)
        self._producer.poll(0)


def _bundle(seed: int) -> bytes:
    """Return a labels file with its documents: enough to train something that learns nothing."""
    texts = {f"{number:02}.txt": f"Loan {number} of the proof {seed}" for number in range(_N_LABELLED)}
    label = {"category": "Word", "offset": 0, "length": 4}
    documents = [
        {
            "location": name,
            "language": "en",
            "entities": [{"regionOffset": 0, "regionLength": len(text), "labels": [label]}],
        }
        for name, text in texts.items()
    ]
    labels = {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {"projectKind": Kind.ENTITIES, "projectName": TRAINED, "language": "en", "multilingual": False},
        "assets": {"projectKind": Kind.ENTITIES, "entities": [{"category": "Word"}], "documents": documents},
    }
    return json.dumps({"labelsFile": labels, "documents": texts}).encode()
