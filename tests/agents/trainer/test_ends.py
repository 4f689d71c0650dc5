"""The end of a job, with a registry and a writer in memory: what is written, what again, and what is deleted."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from agents.registry import Registry, decode_record
from agents.settings import Settings
from agents.trainer import trainer as module
from agents.trainer.child import Ended, Succeeded
from agents.trainer.trainer import Trainer
from agents.writer import Entry
from schemas.base import now
from schemas.commands import Train
from schemas.names import Kind
from schemas.records import (
    DeploymentRecord,
    JobRecord,
    JobStatus,
    ModelRecord,
    ModelReference,
    ProjectRecord,
    Record,
    record_key,
)
from tests.agents.control_kit import settings_of

OLD, NEW, EVALUATION = (f"sha256:{c * 64}" for c in "123")
PROJECT = ProjectRecord(name="loans", kind=Kind.ENTITIES, language="en", created_at=now(), updated_at=now())
JOB = JobRecord(
    id="j1",
    project="loans",
    type="train",
    status=JobStatus.NOT_STARTED,
    train=Train(model_label="v1"),
    created_at=now(),
    updated_at=now(),
)
SERVED = DeploymentRecord(
    project="loans",
    name="production",
    model=ModelReference(label="v1", digest=OLD),
    command_id="c9",
    deployed_at=now(),
)


def model(digest: str) -> ModelRecord:
    return ModelRecord(
        project="loans",
        label="v1",
        digest=digest,
        kind=Kind.ENTITIES,
        job_id="j0",
        trained_at=now(),
        duration_s=1,
        evaluation=EVALUATION,
    )


class Kafka:
    """The registry, the writer, the training and the store of one trainer.

    Attributes:
        meanwhile: Called behind each commit: what somebody else does in that moment.
        failing: Errors of the next reads, in turn; nothing for one that succeeds.
    """

    def __init__(self, settings: Settings, *records: Record) -> None:
        self.state = Registry().after({record_key(record): record for record in records})
        self.events: list[bytes] = []
        self.deleted: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.failing: list[Exception | None] = []
        self.topics = settings.topics

    async def catch_up(self) -> Registry:
        if self.failing and (error := self.failing.pop(0)):
            raise error
        return self.state

    async def take_over(self) -> None: ...

    async def stop(self) -> None: ...

    async def commit(self, entries: Iterable[Entry], *, offset: tuple[TopicPartition, int] | None = None) -> None:
        for entry in entries:
            if entry.topic == self.topics.control_events:
                self.events.append(entry.value or b"")
            elif change := decode_record(entry.key, entry.value):
                self.state = self.state.after(dict([change]))
        if offset:
            self.meanwhile()

    async def train(self, *_: object, **__: object) -> Ended:
        return Succeeded({"event": "succeeded", "digest": NEW, "evaluation": EVALUATION, "summary": {}})

    def delete_checkpoints(self, job_id: str) -> None:
        self.deleted.append(job_id)

    def delete_model(self, digest: str) -> None:
        self.deleted.append(digest)

    def delete_blob(self, digest: str) -> None:
        self.deleted.append(digest)

    def then(self, **records: Record | None) -> None:
        self.state = self.state.after({key.replace("__", "/"): record for key, record in records.items()})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of("localhost:1", "ends", tmp_path)


async def end(kafka: Kafka, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a trainer do the job."""

    async def no_pause(_seconds: float) -> None: ...

    def leave(error: BaseException) -> None:
        raise AssertionError from error

    monkeypatch.setattr(module, "Writer", lambda *_, **__: kafka)
    monkeypatch.setattr(module, "AIOKafkaProducer", lambda **_: None)
    monkeypatch.setattr("agents.trainer.retrying.asyncio.sleep", no_pause)
    all_of_it: Any = kafka
    trainer = Trainer(settings, all_of_it, all_of_it, name="t", leave=leave)
    monkeypatch.setattr(trainer, "_workshop", kafka)
    await trainer.handle(b"j1", partition=TopicPartition(settings.topics.jobs, 0), offset=0)


def ends(kafka: Kafka) -> int:
    return sum(b'"event":"succeeded"' in event or b'"event":"cancelled"' in event for event in kafka.events)


async def test_a_job_that_is_cancelled_in_the_moment_of_its_end_has_one_end_also_if_kafka_goes_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = Kafka(settings, PROJECT, JOB)

    def cancel_and_go_away() -> None:
        kafka.then(job__j1=JOB.model_copy(update={"status": JobStatus.CANCELLING}))
        kafka.failing = [KafkaTimeoutError(), None]

    kafka.meanwhile = cancel_and_go_away
    await end(kafka, settings, monkeypatch)
    found = kafka.state.job("j1")
    assert found is not None
    assert found.status is JobStatus.SUCCEEDED
    assert ends(kafka) == 1
    assert kafka.deleted == ["j1"]


async def test_of_a_project_that_is_deleted_in_the_moment_of_an_end_nothing_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = Kafka(settings, PROJECT, JOB)
    kafka.meanwhile = lambda: kafka.then(project__loans=None)
    await end(kafka, settings, monkeypatch)
    assert dict(kafka.state.records) == {}
    assert sorted(kafka.deleted) == sorted([NEW, EVALUATION, "j1"])


async def test_a_model_that_is_deployed_in_the_moment_in_which_another_replaces_it_stays_in_the_store(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = Kafka(settings, PROJECT, JOB, model(OLD))
    kafka.meanwhile = lambda: kafka.then(deployment__loans__production=SERVED)
    await end(kafka, settings, monkeypatch)
    assert kafka.deleted == ["j1"]


async def test_a_model_that_another_replaces_is_deleted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(settings, PROJECT, JOB, model(OLD))
    await end(kafka, settings, monkeypatch)
    assert kafka.deleted == ["j1", OLD]
