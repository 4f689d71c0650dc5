"""Trainer processes on a real broker, with a fake training: success, failure, cancelling, murder, frost, SIGTERM."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.app import group_of
from agents.registry import RegistryFollower, encode_record
from agents.settings import Settings
from agents.trainer.trainer import Trainer
from models.store import Store
from schemas.base import now
from schemas.commands import Evaluate, Train
from schemas.names import Kind
from schemas.records import JobRecord, JobStatus, ModelRecord, ProjectRecord
from tests.agents.control_kit import PATIENCE_S, Outside, named, read_all, settings_of
from tests.agents.trainer.fake_training import DIGEST, EVALUATION

pytestmark = pytest.mark.broker
ROOT = Path(__file__).parents[3]
FAKE_TRAINING = (sys.executable, str(Path(__file__).with_name("fake_training.py")))


@pytest.fixture
def settings(kafka: str, namespace: str, tmp_path: Path) -> Settings:
    return settings_of(kafka, namespace, tmp_path)


@pytest.fixture
async def outside(settings: Settings) -> AsyncIterator[Outside]:
    async with Outside(settings) as outside:
        await outside.write(
            ProjectRecord(name="loans", kind=Kind.ENTITIES, language="en", created_at=now(), updated_at=now())
        )
        yield outside


class Trainers:
    """Trainer processes of one test."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        s = self._settings
        own = {
            "BROKERS": s.brokers,
            "NAMESPACE": s.namespace,
            "GROUP": s.group,
            "STORE": s.store,
            "HOME": str(s.home),
            "LOG_FORMAT": "json",
            **more,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LEXSTREAM_")}
        environment |= {f"LEXSTREAM_{name}": value for name, value in own.items()} | {"PYTHONPATH": str(ROOT)}
        log = self._folder / f"trainer-{len(self._processes)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("run_fake.py"))],
                env=environment,
                cwd=self._folder,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(10)
        for log in sorted(self._folder.glob("trainer-*.log")):
            print(f"== {log.name}\n{log.read_text()}")

    def children(self) -> list[int]:
        starts = self._folder / "store" / "starts"
        return [int(line) for line in starts.read_text().split()] if starts.exists() else []

    def go(self) -> None:
        (self._folder / "store" / "go").touch()


@pytest.fixture
def trainers(settings: Settings, tmp_path: Path) -> Iterator[Trainers]:
    trainers = Trainers(settings, tmp_path)
    try:
        yield trainers
    finally:
        trainers.stop()


def job(label: str, job_id: str = "j1", **more: Any) -> JobRecord:
    fields: dict[str, Any] = {"type": "train", "status": JobStatus.NOT_STARTED, "train": Train(model_label=label)}
    fields |= {"created_at": now(), "updated_at": now()}
    return JobRecord(id=job_id, project="loans", **(fields | more))


async def ask(outside: Outside, record: JobRecord) -> None:
    await outside.write(record)
    await outside.send(outside.settings.topics.jobs, b"loans", record.id.encode())


def status_is(job_id: str, *statuses: JobStatus) -> Any:
    return lambda registry: (found := registry.job(job_id)) is not None and found.status in statuses


async def until_running(outside: Outside, trainers: Trainers, *, starts: int = 1) -> int:
    """Return the process id of the training once it says that it goes on."""
    await outside.registry_when(status_is("j1", JobStatus.RUNNING))
    wait_until(lambda: len(trainers.children()) >= starts)
    return trainers.children()[-1]


def wait_until(condition: Any, *, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)


def is_gone(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def consumed(outside: Outside) -> int:
    """Return how many jobs were consumed."""
    settings, total = outside.settings, 0
    for number in range(8):
        partition = TopicPartition(settings.topics.jobs, number)
        total += await outside.consumed(group_of(settings, "trainer"), partition) or 0
    return total


async def models_written(settings: Settings) -> int:
    return sum(m.key.startswith(b"model/") for m in await read_all(settings, settings.topics.registry))


async def test_a_job_ends_in_a_model_its_events_and_its_consumed_message(
    outside: Outside, trainers: Trainers, settings: Settings
) -> None:
    trainers.start()
    await ask(outside, job("good"))
    registry = await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    made = registry.model("loans", "good")
    assert made is not None
    assert (made.digest, made.evaluation, made.summary, made.job_id) == (DIGEST, EVALUATION, {"microF1": 0.75}, "j1")
    events = await outside.events()
    assert named(events, "j1")[-1] == "succeeded"
    assert events[-1]["details"]["plan"] == {"backend": "onnx-int8", "streams": 2}
    progress = [event["details"] for event in events if event["event"] == "progress"]
    assert progress[0]["stage"] == "preparing"
    assert {"jobId": "j1", "epoch": 1, "loss": 0.5, "remainingS": 1.5}.items() <= progress[1].items()
    assert await consumed(outside) == 1


async def test_an_evaluation_renews_the_models_figures(outside: Outside, trainers: Trainers) -> None:
    there = ModelRecord(
        project="loans",
        label="v1",
        digest=f"sha256:{'c' * 64}",
        kind=Kind.ENTITIES,
        job_id="earlier",
        trained_at=now(),
        duration_s=1,
        evaluation=f"sha256:{'d' * 64}",
    )
    await outside.write(there)
    trainers.start()
    await ask(outside, job("v1", type="evaluate", train=None, evaluate=Evaluate(model_label="v1")))
    registry = await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    assert registry.model("loans", "v1") == there.model_copy(
        update={
            "evaluation": EVALUATION,
            "summary": {"microF1": 0.75},
            "trained_at": registry.all(ModelRecord)[0].trained_at,
        }
    )


async def test_jobs_that_fail_say_why_and_the_next_goes_on(outside: Outside, trainers: Trainers) -> None:
    trainers.start()
    await ask(outside, job("bad", "j0"))
    await ask(outside, job("dies", "j2"))
    await outside.send(outside.settings.topics.jobs, b"loans", b"nobody knows \xff")
    await ask(outside, job("good"))
    registry = await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    failed, crashed = registry.job("j0"), registry.job("j2")
    assert failed is not None
    assert failed.problems == ["Date: 1 label, expected 5", "Amount: no label"]
    assert crashed is not None
    assert crashed.problems == ["the training process ended with exit code 9: MemoryError"]
    assert len(trainers.children()) == 4, "a crash is tried once more, a failure is not"
    events = await outside.events()
    assert named(events, "j0")[-1] == "failed"
    assert named(events, "j2")[-1] == "failed"
    assert await consumed(outside) == 4


async def test_a_running_job_is_cancelled_within_seconds(outside: Outside, trainers: Trainers) -> None:
    trainers.start()
    await ask(outside, job("slow"))
    child = await until_running(outside, trainers)
    asked = time.monotonic()
    await outside.write(job("slow", status=JobStatus.CANCELLING))
    await outside.registry_when(status_is("j1", JobStatus.CANCELLED))
    assert time.monotonic() - asked < 5
    assert is_gone(child)
    assert named(await outside.events(), "j1")[-1] == "cancelled"
    assert await consumed(outside) == 1


async def test_a_deleted_projects_training_stops_without_a_trace(
    outside: Outside, trainers: Trainers, settings: Settings
) -> None:
    trainers.start()
    await ask(outside, job("slow"))
    child = await until_running(outside, trainers)
    await outside.delete("job/j1", "project/loans")
    wait_until(lambda: is_gone(child))
    await ask(outside, job("good", "j3"))
    await outside.registry_when(status_is("j3", JobStatus.FAILED))
    assert await models_written(settings) == 0
    assert set(named(await outside.events(), "j1")) == {"progress"}


async def test_a_murdered_trainers_job_is_taken_over_and_makes_one_model(
    outside: Outside, trainers: Trainers, settings: Settings
) -> None:
    first = trainers.start()
    await ask(outside, job("slow"))
    child = await until_running(outside, trainers)
    first.kill()
    first.wait(10)
    wait_until(lambda: is_gone(child), seconds=5)
    trainers.start()
    wait_until(lambda: len(trainers.children()) == 2)
    trainers.go()
    await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    assert await models_written(settings) == 1
    assert named(await outside.events(), "j1").count("succeeded") == 1
    assert await consumed(outside) == 1


async def test_a_frozen_trainer_writes_nothing_when_it_wakes(
    outside: Outside, trainers: Trainers, settings: Settings
) -> None:
    first = trainers.start()
    await ask(outside, job("slow"))
    await until_running(outside, trainers)
    first.send_signal(signal.SIGSTOP)
    trainers.start()
    wait_until(lambda: len(trainers.children()) == 2)
    trainers.go()
    await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    first.send_signal(signal.SIGCONT)
    await ask(outside, job("good", "j2"))
    await outside.registry_when(status_is("j2", JobStatus.SUCCEEDED))
    assert named(await outside.events(), "j1").count("succeeded") == 1
    assert await models_written(settings) == 2, "one of each job"


async def test_sigterm_stops_the_training_but_not_the_job(outside: Outside, trainers: Trainers) -> None:
    first = trainers.start()
    await ask(outside, job("slow"))
    child = await until_running(outside, trainers)
    first.send_signal(signal.SIGTERM)
    assert first.wait(15) == 0
    assert is_gone(child)
    interrupted = (await outside.registry()).job("j1")
    assert interrupted is not None
    assert interrupted.status is JobStatus.RUNNING
    assert await consumed(outside) == 0
    trainers.go()
    trainers.start()
    await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    assert await consumed(outside) == 1


async def test_a_second_trainer_may_come_in_the_middle_of_a_training(
    outside: Outside, trainers: Trainers, settings: Settings
) -> None:
    first = trainers.start()
    await ask(outside, job("slow"))
    await until_running(outside, trainers)
    second = trainers.start()
    wait_until(lambda: all("takes jobs of 4 partitions" in _log(settings, number) for number in (0, 1)))
    trainers.go()
    await outside.registry_when(status_is("j1", JobStatus.SUCCEEDED))
    assert await models_written(settings) == 1
    assert named(await outside.events(), "j1").count("succeeded") == 1
    assert [first.poll(), second.poll()] == [None, None]


async def test_a_job_is_done_once_though_somebodys_open_transaction_hides_that_it_ended(
    outside: Outside, trainers: Trainers, settings: Settings
) -> None:
    await outside.write(job("good"))
    message = TopicPartition(settings.topics.jobs, 0)
    left_open, other = (
        AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id=f"{settings.namespace}-{name}")
        for name in ("left", "other")
    )
    async with left_open, other, RegistryFollower(settings) as registry:
        await registry.catch_up()
        trainer = Trainer(settings, registry, Store(settings.store_url), name="t", command=FAKE_TRAINING)
        await trainer.start()
        await left_open.begin_transaction()
        await left_open.send_and_wait(settings.topics.registry, b"{}", key=b"future/thing")
        async with other.transaction():  # whoever did the job meanwhile
            done = encode_record(job("good", status=JobStatus.SUCCEEDED))
            await other.send_and_wait(settings.topics.registry, done, key=b"job/j1")
        handling = asyncio.create_task(trainer.handle(b"j1", partition=message, offset=0))
        assert await asyncio.wait({handling}, timeout=2) == (set(), {handling})
        await left_open.abort_transaction()
        await handling
        await trainer.stop()
    assert trainers.children() == []
    assert await models_written(settings) == 0


async def test_a_job_whose_message_was_lost_is_sent_again(outside: Outside, settings: Settings) -> None:
    store = Store(settings.store_url)
    await outside.write(job("good", updated_at=now() - timedelta(minutes=2)), job("good", "j2"))
    async with RegistryFollower(settings) as registry:
        trainer = Trainer(settings, registry, store, name="t", look_s=0.1)
        everything = [TopicPartition(settings.topics.jobs, number) for number in range(8)]
        trainer.on_assigned(None, everything)
        await trainer.start()
        found = await read_all(settings, settings.topics.jobs, until=bool, quiet=False)
        await trainer.stop()
    assert {message.value for message in found} == {b"j1"}


def test_a_trainer_without_a_broker_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    trainers = Trainers(settings_of("127.0.0.1:1", "nobody", tmp_path), tmp_path)
    assert trainers.start(BROKER_WAIT_S="0").wait(60) == 4
    trainers.stop()


def test_a_trainer_without_topics_says_which_are_missing(settings: Settings, trainers: Trainers) -> None:
    assert trainers.start().wait(60) == 2
    assert f"topic {settings.topics.jobs} is missing" in _log(settings, 0)


def _log(settings: Settings, number: int) -> str:
    return (settings.home / f"trainer-{number}.log").read_text()
